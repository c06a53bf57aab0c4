from __future__ import annotations

import base64
import io
import json
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from synthetic import Tables, disc, png, study, table, trial, trivial

from ablate.analysis.claims.verdict import ClaimResult, Verdict
from ablate.analysis.effects import Effect, Effects, Importance, Interaction
from ablate.analysis.figures.heatmap import LevelMeans
from ablate.analysis.figures.parallel import Axis, Line, Parallel
from ablate.analysis.figures.pareto import pareto_figure
from ablate.analysis.format import listing, score, si
from ablate.analysis.measured import Disagreement, Timing
from ablate.analysis.pareto import fronts
from ablate.analysis.report.report import About, Evidence, Picture, Prediction, figure_page, overlay, render
from ablate.analysis.significance import Difference, Interval
from ablate.analysis.summary import front_summary
from ablate.search_spaces.profiles import PROFILES

HOSTILE = """<img src=x onerror="alert('1')">&"""
NBSP = "\N{NO-BREAK SPACE}"


def about(*profiles: str, **fields: object) -> About:
    return About(**{"title": "A study", "question": "Why?", "profiles": profiles, "facts": {"Data": "mni152"}} | fields)


class Document(HTMLParser):
    """A document's elements, the text outside scripts, and the cells of each table's body."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._table = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in ("meta", "link", "img", "br", "input"):
            self._open.append(tag)
        if tag == "table":
            self._table = attributes.get("id") or attributes.get("class") or ""
            self.tables[self._table] = []
        if tag == "tr" and "tbody" in self._open:
            self.tables[self._table].append([])
        if tag in ("td", "th") and "tbody" in self._open:
            self.tables[self._table][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            return
        self.text += data
        if "tbody" in self._open and {"td", "th"} & set(self._open):
            self.tables[self._table][-1][-1] += data


@pytest.fixture(scope="module")
def whole() -> str:
    mask = disc(24, 32, 12, 16, 8)
    predictions = {
        cell: Prediction(png(255 * disc(24, 32, 12, 16 + i, 8)), 1 - i / 10) for i, cell in enumerate(("a1", "e5"))
    }
    picture = Picture(HOSTILE, png(mask * 128), png(mask * 255), predictions, role="worst")
    tables = study(label=HOSTILE)
    failed = tables.trials["state"] == "failed"
    tables.trials.loc[failed, "error"] = HOSTILE
    return render(
        tables,
        about("quick", title=HOSTILE, question=HOSTILE, facts={HOSTILE: HOSTILE}, notes=(HOSTILE,)),
        [picture],
    )


def test_document_is_well_formed_and_loads_nothing(whole: str) -> None:
    document = Document(whole)
    for tag, attributes in document.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("data:", "#")), f"<{tag} {name}={value[:80]}>"
    policy = next(a["content"] for _, a in document.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "@import" not in whole.partition("<style>")[2].partition("</style>")[0]


def test_plotly_is_embedded_once(whole: str) -> None:
    assert whole.count("plotly.js v") == 1


def test_every_text_is_escaped(whole: str) -> None:
    document = Document(whole)
    images = [attributes for tag, attributes in document.elements if tag == "img"]
    assert all("onerror" not in attributes for attributes in images)
    # Title and heading, question, note, fact and its name, failed trials and their errors, image.
    assert document.text.count(HOSTILE) >= 9
    assert "onerror=\"alert('1')\">" not in whole


def networks(html: str) -> dict[str, Any]:
    """What the plot and the table of a page are drawn from."""
    return json.loads(re.findall(r'<script type="application/json">(.*?)</script>', html, flags=re.DOTALL)[0])[0]


def quantity(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["quantities"] if one["name"] == name)


def test_every_cell_and_trivial_row_is_in_the_data_best_first(whole: str) -> None:
    found = networks(whole)
    assert len(found["labels"]) == 7 + 3
    assert found["trivial"] == 3
    assert found["labels"][0] == "attention"
    assert found["labels"][-3:] == ["all foreground", "mean mask", "all background"]
    dice = quantity(found, "dice")
    assert dice["values"][:7] == sorted(dice["values"][:7], reverse=True)
    assert dice["spread"][0] > 0
    assert quantity(found, "params")["values"][0] == 34_880_000
    assert quantity(found, "macs")["values"][0] == 16_660_000_000
    assert found["seeds"][0] == 3


def test_the_data_hold_no_character_that_acts(whole: str) -> None:
    text = re.findall(r'<script type="application/json">(.*?)</script>', whole, flags=re.DOTALL)[0]
    assert not set("<>&") & set(text)
    assert HOSTILE in networks(whole)["labels"]


def test_failed_trials_are_listed_with_their_reason(whole: str) -> None:
    assert Document(whole).tables["failed"] == [
        ["resnet34", "ResNet34-UNet", "2", HOSTILE],
        ["fcn8s", "FCN-8s", "0", HOSTILE],
    ]


@pytest.mark.parametrize("profile", ["quick", "standard", "paper"])
def test_caution_of_the_profile_comes_first(profile: str) -> None:
    text = Document(render(Tables(table(trial("a", 0.8, 5)), study().epochs, study().images), about(profile))).text
    for name, other in PROFILES.items():
        if other.note:
            assert (other.note in text) == (name == profile)


def test_findings_say_who_does_not_beat_the_trivial_rows() -> None:
    rows = [trial("good", 0.8, 5), trial("poor", 0.5, 4), *trivial()]
    text = Document(render(Tables(table(*rows), study().epochs, study().images), about())).text
    assert "2 of 2 networks are on the front of Dice against parameters" in text
    assert "No better than the trivial row all foreground (Dice 0.534): poor (0.500)." in text
    assert "one seed" in text
    rows[1]["dice"] = 0.6
    text = Document(render(Tables(table(*rows), study().epochs, study().images), about())).text
    assert "Every network beats the trivial rows (the best of them is all foreground, Dice 0.534)." in text


def test_a_study_in_which_all_failed_still_has_a_report() -> None:
    html = render(Tables(table(trial("a", 0, 5, state="failed")), study().epochs, study().images), about())
    document = Document(html)
    assert "No network has been scored" in document.text
    assert "loss became NaN in epoch 3" in document.text
    assert len(html) < 50_000


def test_overlay_marks_hits_false_alarms_and_misses() -> None:
    source = np.full((2, 2), 200, np.uint8)
    mask, prediction = np.array([[255, 255], [0, 0]], np.uint8), np.array([[255, 0], [255, 0]], np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(overlay(source, mask, prediction))))
    assert shown.shape == (2, 2, 3)
    assert shown[0, 0].tolist() == [255, 255, 255]
    grey = np.asarray(Image.fromarray(shown).convert("L")).astype(int)
    hit, miss, alarm, background = grey[0, 0], grey[0, 1], grey[1, 0], grey[1, 1]
    assert hit - alarm > 40 < alarm - miss
    assert miss - background > 30


def test_overlay_marks_a_wrong_class_as_an_error_of_its_own() -> None:
    mask = np.array([[127, 254, 127, 0]], np.uint8)
    prediction = np.array([[127, 127, 0, 254]], np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(overlay(np.zeros((1, 4), np.uint8), mask, prediction))))[0]
    right, other_class, missed, alarm = (tuple(pixel) for pixel in shown)
    assert right == (255, 255, 255)
    assert len({right, other_class, missed, alarm, (0, 0, 0)}) == 5
    grey = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in (right, alarm, other_class, missed, (0, 0, 0))]
    assert all(lighter - darker > 25 for lighter, darker in pairwise(map(float, grey)))


def test_strip_has_a_column_a_cell_and_says_why_an_image_is_shown(whole: str) -> None:
    (row,) = Document(whole).tables["strip"]
    assert row == [f"worst {HOSTILE}", "", "", "Dice 1.000", "Dice 0.900"]
    images = re.findall(r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)"', whole)
    assert len(images) == 4
    for data in images:
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (32, 24)


def test_key_names_a_wrong_class_only_where_there_are_classes() -> None:
    def page(level: int) -> str:
        mask = np.array([[0, 255], [0, level]])
        return render(study(), about(), [Picture("z", png(mask), png(mask), {"a1": Prediction(png(mask), 1.0)})])

    assert "taken for another class" not in page(255)
    assert "taken for another class" in page(127)


def test_data_sets_have_strips_of_their_own() -> None:
    mask = png(np.eye(4) * 255)
    shown = [Picture("z", mask, mask, {cell: Prediction(mask, 1.0)}, task=cell) for cell in ("a1", "b2")]
    document = Document(render(study(), about(), shown))
    assert sum(attributes.get("class") == "strip" for _, attributes in document.elements) == 2


def test_of_many_cells_those_beyond_the_first_wait_to_be_asked_for() -> None:
    trials = table(*(trial(f"c{i:02}", 0.9 - i / 100, i + 1) for i in range(20)))
    mask = png(np.eye(4) * 255)
    shown = Picture("z", mask, mask, {f"c{i:02}": Prediction(mask, 1.0) for i in range(20)})
    document = Document(render(Tables(trials, study().epochs, study().images), about(), [shown]))
    heads = [a for tag, a in document.elements if tag == "th" and "data-cell" in a]
    assert [a["data-cell"] for a in heads if a.get("class") != "more"] == [f"c{i:02}" for i in range(12)]
    assert [a["id"] for a in heads] == [f"images-{a['data-cell']}" for a in heads]  # where links lead


def test_large_pictures_are_brought_to_the_size_they_are_shown_at() -> None:
    mask = png(255 * disc(512, 1024, 256, 512, 100))
    html = render(study(), about(), [Picture("z", mask, mask, {"a1": Prediction(mask, 1.0)})])
    sizes = {
        Image.open(io.BytesIO(base64.b64decode(data))).size
        for data in re.findall(r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)"', html)
    }
    assert sizes == {(256, 128)}


def test_a_picture_that_cannot_be_shown_costs_its_own_place() -> None:
    whole = png(np.eye(4) * 255)
    shown = [
        Picture("z1", whole, whole, {"a1": Prediction(png(np.zeros((4, 5))), 0.5), "b2": Prediction(whole, 1.0)}),
        Picture("z2", whole, b"no picture", {"a1": Prediction(whole, 1.0)}),
        Picture("z3", whole, whole, {"a1": Prediction(whole[:40], 1.0), "b2": Prediction(whole, 1.0)}),
    ]
    rows = {row[0]: row for row in Document(render(study(), about(), shown)).tables["strip"]}
    assert rows["z1"][1:] == [
        "",
        "",
        "Dice 1.000",
        "cannot be shown: the prediction is 4x5, its mask 4x4: expected one size",
    ]
    assert rows["z2"][1].startswith("cannot be shown: UnidentifiedImageError")
    assert rows["z3"][3] == "Dice 1.000"
    assert rows["z3"][4].startswith("cannot be shown: ")


# Evidence ------------------------------------------------------------------------------------------------------------


def _sections(html: str) -> list[str]:
    return re.findall(r"<section>\s*<h2>([^<]*)</h2>", html)


def _difference(estimate: float, half: float, p: float | None, seeds: int = 3) -> Difference:
    interval = Interval(estimate, estimate - half, estimate + half, 0.95)
    return Difference("a", "b", "dice", interval, p, p, None, seeds, 12, None, "")


def _evidence() -> Evidence:
    """A record for every section, with hostile names wherever a name goes."""
    verdicts = (
        Verdict(HOSTILE, "fewest", "supported", 0.69, math.nan, math.nan, "ratio", "It has the fewest."),
        Verdict("Dice kept", "non_inferior", "inconclusive", -0.004, -0.012, 0.004, "difference", HOSTILE, HOSTILE),
        Verdict("on the front", "on_front", "refuted", 0.03, math.nan, math.nan, "probability", "It is not."),
    )
    claim = ClaimResult(HOSTILE, HOSTILE, "slices", "refuted", verdicts, HOSTILE)
    a, b = Timing("e5", HOSTILE, 2e9, 90.0, 1.0), Timing("a1", "unet", 3e9, 40.0, 1.0)
    effect = Effect("s", "slices", HOSTILE, HOSTILE, HOSTILE, _difference(0.02, 0.01, 0.001), 0.66, 0.71, 1)
    effects = Effects(
        "dice",
        (effect, effect._replace(level="2", difference=_difference(0.005, 0.01, 0.3))),
        (Interaction("s", "slices", (HOSTILE, "f"), (HOSTILE, "1"), ("0", "0"), Interval(0.01, 0, 0.02, 0.95), 0.04),),
        (Importance("s", "slices", HOSTILE, "dice", 0.75, None),),
        (HOSTILE,),
    )
    means = LevelMeans(
        "s", "dice", (HOSTILE, "g"), ((HOSTILE, "1"), ("2", "3")), ((0.8, 0.9), (0.7, math.nan)), ((1, 1), (1, 0)), 1
    )
    lines = (
        Line("e5", HOSTILE, "unet", (0.0, 0.5, 1.0), (HOSTILE, "b", "c")),
        Line("a1", "x", "unet", (1.0, 0.2, 0.0), "xyz"),
    )
    across = Parallel(HOSTILE, "slices", (Axis(HOSTILE, ((0.0, HOSTILE),)), Axis("g", ()), Axis("Dice", ())), lines)
    known = Interval(0.8421, 0.8312, 0.8533, 0.95)
    return Evidence(
        claims=(claim,),
        intervals={"dice": {"a1": known}, "miou": {}, "iou": {}},
        disagreements=(Disagreement("slices", HOSTILE, "1×96×96", a, b),),
        effects=effects,
        maps=(means,),
        parallels=(across,),
        notes=(HOSTILE,),
    )


def test_sections_come_in_order_and_only_where_there_is_something_to_say(whole: str) -> None:
    mask = png(np.eye(4) * 255)
    picture = Picture("z", mask, mask, {"a1": Prediction(mask, 1.0)})
    assert _sections(render(study(), about(), [picture], _evidence())) == [
        "Verdict",
        "What was found",
        "Score against cost",
        "Fewer MACs, more time",
        "What each part is worth",
        "Training",
        "Test images",
        "All results",
        "How this was made",
    ]
    for absent in ("Verdict", "Fewer MACs, more time", "What each part is worth"):
        assert absent not in _sections(whole)


def test_every_text_of_the_evidence_is_escaped() -> None:
    html = render(study(label=HOSTILE), about(), (), _evidence())
    outside_scripts = re.sub(r"<script>.*?</script>|<script type.*?</script>", "", html, flags=re.DOTALL)
    assert "<img src=x" not in outside_scripts
    # Claim, hypothesis, sentence, note, device, effect, interaction, importance, map, parallel, notes.
    assert Document(html).text.count(HOSTILE) >= 15


def test_a_script_in_a_name_does_not_end_the_figures_script() -> None:
    hostile = "</script><script>document.title='taken'</script>"
    html = render(study(label=hostile), about(), (), _evidence())
    assert "</script><script>document.title" not in html
    assert "<script>document.title" not in html


ENDLESS = "x" * 100_000
TEXTS = [
    "</script><b>",
    "]]><b>",
    "<!--<b>",
    "\x00\x07\x1b[31m\x9b2J<b>",
    "\ud800<b>\udfff",
    "\u202e<b>\u2066",
    ENDLESS + "<b>",
]


@pytest.mark.parametrize("text", TEXTS, ids=["script", "cdata", "comment", "control", "surrogate", "turned", "endless"])
def test_whatever_a_study_says_the_page_stands_and_can_be_written(text: str) -> None:
    held = text.encode(errors="replace").decode()  # a table holds no half of a character
    tables = study(label=held)
    trained = tables.trials["state"] != "trivial"
    hostile = dict.fromkeys(("model", "configuration", "latency_device", "latency_input", "data"), held)
    trials = tables.trials.assign(latency_ms=np.where(trained, 5.0, np.nan), **hostile)
    trials.loc[trials["state"] == "failed", "error"] = held
    mask = png(np.eye(4) * 255)
    pictures = [Picture(text, mask, mask, {"a1": Prediction(mask, 1.0)}, role=text, task=text)]
    said = about(
        title=text, question=text, facts={text: text}, notes=(text,), definitions={text: text}, cautions=[text]
    )
    found = _evidence()
    (claim,) = found.claims
    claim = claim._replace(statement=text, sentence=text, verdicts=(claim.verdicts[0]._replace(name=text, note=text),))
    html = render(tables._replace(trials=trials), said, pictures, found._replace(claims=(claim,), notes=(text,)))
    assert "could not be made" not in html
    html.encode()
    body = html.partition("</head>")[2]
    assert "<b>" not in re.sub(r"<b>[^<]*</b>", "", body)  # what is bold is the page's own
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", body)
    assert len(re.findall(r"<script", body)) == len(re.findall(r"</script>", body))
    assert body.count("x" * 2_100) <= 100_000 // 2_100  # a definition alone is shown as long as that
    assert len(body) < 3_000_000
    Document(html)


def test_verdict_has_outcome_figure_and_interval() -> None:
    text = Document(render(study(), about(), (), _evidence())).text
    assert "✓ supported" in text
    assert "×0.69" in text
    assert "? inconclusive" in text
    assert "−0.004 [−0.012, +0.004]" in text
    assert "✗ refuted" in text


def test_interval_takes_the_place_of_the_deviation_where_it_is_known() -> None:
    found = networks(render(study(), about(), (), _evidence()))
    dice, at = quantity(found, "dice"), found["labels"].index("unet")
    assert dice["values"][at] == pytest.approx(study().trials.query("cell == 'a1'")["dice"].mean())
    assert (dice["low"][at], dice["high"][at], dice["spread"][at]) == (0.8312, 0.8533, None)
    assert dice["spread"][found["labels"].index("unet++")] > 0
    assert quantity(found, "miou")["spread"][at] > 0


def test_effects_table_has_each_effect_with_its_significance() -> None:
    rows = Document(render(study(), about(), (), _evidence())).tables["effects"]
    assert rows[0][3:8] == ["+0.020", "[+0.010, +0.030]", "0.001 *", "×0.66", "×0.71"]
    assert rows[1][3:6] == ["+0.005", "[−0.005, +0.015]", "0.3"]


def test_of_many_cells_all_are_in_the_data() -> None:
    random = np.random.default_rng(0)
    rows = [trial(f"c{i}", float(random.uniform(0.6, 0.9)), float(random.uniform(1e5, 1e8))) for i in range(700)]
    rows.append(trial("cheap", 0.55, 10))
    trials = table(*rows, *trivial())
    found = networks(render(Tables(trials, study().epochs.iloc[:0], study().images), about()))
    assert set(found["labels"][:701]) == {row["label"] for row in rows}
    assert found["progress"]["epochs"] == []


def test_names_of_200_characters_are_whole_in_the_table_and_short_in_figures() -> None:
    label = "level=" + "x" * 194
    html = render(study(label=label), about())
    found = networks(html)
    assert sorted(found["names"][:7]) == [f"n{at}" for at in range(1, 8)]
    assert label in found["labels"]
    in_figures = "".join(re.findall(r"Plotly\.newPlot\((.*?)</script>", html.partition("(() => {")[0], flags=re.DOTALL))
    assert "level=" in in_figures
    assert "x" * 70 not in in_figures


def test_figure_page_stands_alone() -> None:
    html = figure_page({"a": pareto_figure(fronts(study().trials))}, "<Front>", "Take care", {"a": "a <caption>"})
    document = Document(html)
    assert document.text.count("<Front>") == 2
    assert "Take care" in document.text
    assert "a <caption>" in document.text
    assert html.count("plotly.js v") == 1


def test_numbers_have_three_digits_and_a_prefix() -> None:
    assert [si(n) for n in (0, 512, 999.6, 7_770_000, 48.57e9, 999_999, 138.63e9)] == [
        "0",
        "512",
        f"1.00{NBSP}k",
        f"7.77{NBSP}M",
        f"48.6{NBSP}G",
        f"1.00{NBSP}M",
        f"139{NBSP}G",
    ]
    assert score(0.8416, 0.0042) == f"0.842{NBSP}±{NBSP}0.004"
    assert score(0.8416) == "0.842"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing([str(i) for i in range(20)], most=3) == "0, 1 and 18 others"


def test_summary_fits_a_pipe_of_80_columns() -> None:
    file = io.StringIO()
    trials = study(label="pyramid kernels=3,5,7,9 with a very long name that must be folded [not markup]").trials
    front_summary(trials, Console(file=file, width=80), caution="Take care")
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in file.getvalue()
    starred = {line.split()[1] for line in lines if line.startswith("*  ")}
    assert starred == {"pyramid", "levels=2", "unet", "unet++", "attention"}
    assert [line.split()[0] for line in lines if " 0 " in line] == ["all", "mean", "all"]
    assert any("2 trials failed" in line for line in lines)
    assert lines[-1] == "Take care"


def test_summary_has_the_interval_where_it_is_known_and_still_fits() -> None:
    file = io.StringIO()
    intervals = {"dice": {"a1": Interval(0.842, 0.8312, 0.8533, 0.95), "b2": Interval(0.8, math.nan, math.nan, 0.95)}}
    front_summary(study(label="x" * 60).trials, Console(file=file, width=80), intervals=intervals)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (unet,) = [line for line in lines if line.startswith("*  unet ")]
    assert f"[0.831,{NBSP}0.853]" in unet
    (other,) = [line for line in lines if line.startswith("*  unet++ ")]
    assert "±" not in other  # a spread over seeds in the place of an interval would be read as one
    assert "0.845" in other


def test_summary_of_many_cells_keeps_to_the_front() -> None:
    file = io.StringIO()
    rows = [trial(f"c{i}", 0.9 - i / 100, i + 1) for i in range(50)]
    front_summary(table(*rows, *trivial()), Console(file=file, width=80))
    assert "and 49 networks off the front" in file.getvalue()
    assert "(1 of 50 networks): c0." in file.getvalue()
    assert "No better than all foreground (Dice 0.534): c37" in file.getvalue()


def test_summary_without_networks_says_so() -> None:
    file = io.StringIO()
    front_summary(table(trial("a", 0, 5, state="failed")), Console(file=file, width=80))
    assert file.getvalue().splitlines() == [
        "No network has been scored: no trial is complete.",
        "1 trial failed: a (seed 0, none complete: no score). All that it would have been",
        "tested on counts as lost; the report has the reasons.",
    ]
