from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from synthetic import Tables, disc, png, study, table, trial, trivial

from analysis.figures.pareto import pareto_figure
from analysis.format import listing, score, si
from analysis.pareto import fronts
from analysis.report import About, Picture, figure_page, overlay, render
from analysis.summary import front_summary
from search_spaces.profiles import PROFILES

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
        if tag not in ("meta", "link", "img", "br"):
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
    predictions = {cell: png(255 * disc(24, 32, 12, 16 + i, 8)) for i, cell in enumerate(("a1", "e5"))}
    picture = Picture(HOSTILE, png(mask * 128), png(mask * 255), predictions)
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
            assert not value or value.startswith("data:"), f"<{tag} {name}={value[:80]}>"
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
    # Title and heading, question, note, fact and its name, label in sentence, table and strip, errors, image.
    assert document.text.count(HOSTILE) >= 10
    assert "onerror=\"alert('1')\">" not in whole


def test_table_has_every_cell_and_trivial_row_best_first(whole: str) -> None:
    rows = Document(whole).tables["cells"]
    assert len(rows) == 7 + 3
    assert rows[0][0] == "attention"
    assert [row[0] for row in rows][-3:] == ["all foreground", "mean mask", "all background"]
    attention = rows[0]
    assert re.fullmatch(r"0\.\d{3}.±.0\.\d{3}", attention[1])
    assert attention[4:7] == [f"34.9{NBSP}M", f"16.7{NBSP}G", "3"]
    assert attention[9:] == ["Parameters, MACs", "Attention U-Net"]


def test_sort_values_are_the_numbers_shown(whole: str) -> None:
    body = whole.partition('id="cells"')[2].partition("</table>")[0]
    values = re.findall(r'class="number" data-sort="([^"]*)">([^<]*)<', body)
    assert values
    for sort, shown in values:
        if shown == "–":
            assert sort == ""
        elif "±" in shown or re.fullmatch(r"\d\.\d{3}", shown):
            assert f"{float(sort):.3f}" == shown[:5]


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
    source = np.full((2, 2), 200)
    mask, prediction = np.array([[1, 1], [0, 0]], bool), np.array([[1, 0], [1, 0]], bool)
    shown = np.asarray(Image.open(io.BytesIO(overlay(source, mask, prediction))))
    assert shown.shape == (2, 2, 3)
    assert shown[0, 0].tolist() == [255, 255, 255]
    grey = np.asarray(Image.fromarray(shown).convert("L")).astype(int)
    hit, miss, alarm, background = grey[0, 0], grey[0, 1], grey[1, 0], grey[1, 1]
    assert hit - alarm > 40 < alarm - miss
    assert miss - background > 30


def test_strip_has_a_column_a_cell_with_the_dice_of_what_is_shown(whole: str) -> None:
    (row,) = Document(whole).tables["strip"]
    a, b = disc(24, 32, 12, 16, 8), disc(24, 32, 12, 17, 8)
    overlap = 2 * (a & b).sum() / (a.sum() + b.sum())
    assert row == [HOSTILE, "", "", "Dice 1.000", f"Dice {overlap:.3f}"]
    images = re.findall(r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)"', whole)
    assert len(images) == 4
    for data in images:
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (32, 24)


def test_prediction_of_another_size_is_refused() -> None:
    picture = Picture("z1", png(np.zeros((4, 4))), png(np.zeros((4, 4))), {"a1": png(np.zeros((4, 5)))})
    with pytest.raises(ValueError, match=r"picture 'z1': the prediction of cell a1 is 4x5, its mask 4x4"):
        render(study(), about(), [picture])


def test_figure_page_stands_alone() -> None:
    html = figure_page({"a": pareto_figure(fronts(study().trials))}, "<Front>", "Take care")
    document = Document(html)
    assert document.text.count("<Front>") == 2
    assert "Take care" in document.text
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
        "1 trial failed; the report has the reasons.",
    ]
