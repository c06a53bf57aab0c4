"""The results table: its numbers against the statistics they come from, and three renderings that hold any name."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
from itertools import count

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from ablate.analysis.best import all_pairs
from ablate.analysis.frames import Frames
from ablate.analysis.scores import cell_scores
from ablate.analysis.significance import mean_interval
from ablate.analysis.tables import Row, results_table
from ablate.analysis.typeset import comma_separated, latex, latex_text, markdown
from ablate.errors import InputError
from ablate.study.tables import IMAGE_COLUMNS

IMAGES = 12
EVIL = '50% of a_b & c <script>alert("x")</script> {#~^$} \\end{table} | `q`'
FACTS = {
    "Data": "isbi2012 at 1×128×128 (fingerprint 500f74b86179)",
    "Split": "60% train, 20% validation, 20% test; contiguous blocks",
    "Training": "20 epochs, batch 5",
    "Selection": "epoch with the best Dice on the validation images",
    "Versions": "not of interest",
}


def frames(*cells: tuple[str, float, float], seeds: int = 3, task: str = "slices", **columns: object) -> Frames:
    """Cells of (label, Dice, parameters), whose images and seeds spread about that Dice; and all-foreground."""
    random = np.random.default_rng(0)
    trials, images = [], []
    hardness = random.normal(0, 0.02, IMAGES)

    def add(cell: str, label: str, model: str, state: str, seed: int, params: float, values: np.ndarray) -> None:
        key = f"{task}-{cell}-{seed}"
        row = {"key": key, "cell": f"{task}-{cell}", "label": label, "model": model, "data": task, "state": state}
        trials.append(row | {"seed": seed, "params": params, "macs": 400 * params} | (columns if params else {}))
        for image, value in enumerate(values):
            inside = round(100_000 * value)
            errors = 2 * (100_000 - inside)
            for kind, tp in ((0, 500_000), (1, inside)):
                images.append((key, f"{image:02d}", kind, tp, errors // 2, errors - errors // 2, 0))

    for cell, (label, dice, params) in zip(count(), cells, strict=False):
        for seed in range(seeds):
            noise = random.normal(0, 0.004) + random.normal(0, 0.003, IMAGES)
            add(f"{cell}", label, "unet", "complete", seed, params, np.clip(dice + hardness + noise, 0, 1))
    add("t", "all foreground", "all_foreground", "trivial", 0, 0, np.full(IMAGES, 0.5))
    return Frames(
        pd.DataFrame(trials),
        pd.DataFrame(),
        pd.DataFrame(images, columns=list(IMAGE_COLUMNS)),
    )


def both(*found: Frames) -> Frames:
    return Frames(*(pd.concat(tables, ignore_index=True) for tables in zip(*(one[:3] for one in found), strict=True)))


THREE = (("narrow", 0.70, 1e6), ("wide", 0.80, 4e6), ("wider", 0.799, 9e6))


def rows_of(found: Frames, **options: object) -> dict[str, Row]:
    (section,) = results_table(found, **options).sections  # type: ignore[arg-type]
    return {row.name: row for row in section.rows}


# Numbers -------------------------------------------------------------------------------------------------------------


def test_rows_are_by_parameters_and_trivial_ones_last():
    table = results_table(frames(("wide", 0.8, 4e6), ("narrow", 0.9, 1e6)))
    assert [row.name for row in table.sections[0].rows] == ["narrow", "wide", "all foreground"]


def test_means_are_over_images_and_seeds():
    found = frames(*THREE)
    for name, row in rows_of(found, metrics=("dice", "miou")).items():
        for metric in ("dice", "miou"):
            scores = next(one for one in cell_scores(found, metric).values() if one.label == name)
            assert row.scores[metric].interval.estimate == pytest.approx(scores.values.mean())


def test_half_of_an_interval_is_printed_and_what_it_is_over_is_said():
    table = results_table(frames(*THREE))
    for row in table.sections[0].rows:
        interval = row.scores["dice"].interval
        half = (interval.high - interval.low) / 2
        assert row.trivial or 0.002 < half < 0.1
        assert (f"± {half:.3f}" in markdown(table)) is not row.trivial
    networks = [row for row in table.sections[0].rows if not row.trivial]
    over = f"{networks[0].seeds} seeds and {networks[0].images} images"
    assert f"± is half the width of the 95% confidence interval, over {over}" in " ".join(table.caption)


def test_of_too_few_images_the_caption_says_why_there_is_no_interval():
    found = frames(*THREE)
    few = sorted(set(found.images["image"]))[:3]
    table = results_table(found._replace(images=found.images[found.images["image"].isin(few)]))
    assert "±" not in " ".join([*table.caption, markdown(table), latex(table)])
    assert "Without an interval: 3 images are too few to speak of others, at least 4" in " ".join(table.caption)
    assert not any(row.scores["dice"].worse for row in table.sections[0].rows)


def test_the_interval_of_the_best_of_many_alike_is_corrected_and_says_so():
    found = frames(*((f"n{at}", 0.8, 1e6 + at) for at in range(12)))
    table = results_table(found, ("dice",))
    own = [row for row in table.sections[0].rows if row.scores["dice"].chosen]
    [best] = [row for row in own if row.scores["dice"].to_best == 0]
    plain = mean_interval(cell_scores(found, "dice")[best.cell])
    assert own == [best]
    assert best.scores["dice"].interval.low < plain.low
    assert best.scores["dice"].interval.high == plain.high
    for text in (latex(table), markdown(table)):
        assert text.count("S{}" if "toprule" in text else "§") == 2, "once beside the interval, once in the caption"
    assert "`ablate confirm`" in " ".join(table.caption)
    assert [row["dice_chosen"] for row in csv.DictReader(io.StringIO(comma_separated(table)))].count("True") == 1


def test_the_best_is_marked_and_what_is_shown_to_be_worse():
    rows = rows_of(frames(*THREE))
    assert {name for name, row in rows.items() if row.scores["dice"].best} == {"wide"}
    assert {name for name, row in rows.items() if row.scores["dice"].worse} == {"narrow"}
    assert rows["all foreground"].scores["dice"].p_best is None
    assert rows["wide"].scores["dice"].p_best == 1.0


def test_all_columns_of_the_table_are_one_family():
    found = both(frames(*THREE), frames(*THREE, task="volumes"))
    table = results_table(found, ("dice", "miou"))
    assert "over the 4 columns" in " ".join(table.caption)
    for metric in ("dice", "miou"):
        scores = cell_scores(found, metric)
        for section in table.sections:
            alone = all_pairs(
                {cell: one for cell, one in scores.items() if one.task == section.task and not one.trivial}, metric
            )
            for cell, p_value in zip(alone.cells, alone.p_values, strict=True):
                entry = next(row for row in section.rows if row.cell == cell).scores[metric]
                assert entry.p_best == pytest.approx(min(1.0, 4 * p_value))
                best = max(one.mean for one in scores.values() if one.task == section.task and not one.trivial)
                assert entry.to_best == pytest.approx(scores[cell].mean - best)


def test_what_is_printed_like_the_best_is_bold_too():
    # The second network's counts, given to the first as well: a tie.
    tied = frames(("one", 0.8, 1e6), ("two", 0.8, 2e6))
    two = tied.images[tied.images["key"].str.contains("-1-")]
    one = two.assign(key=two["key"].str.replace("-1-", "-0-"))
    rest = tied.images[~tied.images["key"].str.contains("-0-")]
    rows = rows_of(tied._replace(images=pd.concat([one, rest])))
    assert all(rows[name].scores["dice"].best for name in ("one", "two"))


def test_one_seed_has_no_interval_and_no_mark():
    table = results_table(frames(*THREE, seeds=1))
    networks = [row for row in table.sections[0].rows if not row.trivial]
    assert all(math.isnan(row.scores["dice"].interval.low) and not row.scores["dice"].worse for row in networks)
    assert any(row.scores["dice"].best for row in networks)
    caption = " ".join(table.caption)
    assert "With one seed there is no interval, and no difference is called significant." in caption
    for text in (latex(table), markdown(table)):
        assert "±" not in text
        assert r"$\pm$" not in text
        assert "†" not in text
        assert "dagger" not in text


def test_the_interval_of_equal_images_is_students_over_seeds():
    """Where images do not differ, only seeds do: the textbook interval of three means, on the logit scale."""
    found = frames(("one", 0.8, 1e6))
    means = {f"slices-0-{seed}": value for seed, value in enumerate((0.80, 0.81, 0.83))}
    inside = found.images["key"].map(means).mul(100_000).round()
    foreground = found.images["class"].eq(1) & inside.notna()
    images = found.images.copy()
    images.loc[foreground, "tp"] = inside[foreground].astype(int)
    images.loc[foreground, "fp"] = images.loc[foreground, "fn"] = 100_000 - inside[foreground].astype(int)
    interval = rows_of(found._replace(images=images))["one"].scores["dice"].interval
    mean = np.mean(list(means.values()))
    half = stats.t.ppf(0.975, 2) * np.std(list(means.values()), ddof=1) / math.sqrt(3)
    expected = special.logit(mean) + np.array([-1, 1]) * half / (mean * (1 - mean))
    assert special.logit(interval[1:3]) == pytest.approx(expected, rel=1e-3)


def test_no_network_is_an_error():
    with pytest.raises(InputError, match="no network has been scored"):
        results_table(frames())


# Caption -------------------------------------------------------------------------------------------------------------


def test_the_caption_names_data_protocol_seeds_and_the_profiles_note():
    table = results_table(frames(*THREE), facts=FACTS, notes=["Made under the quick profile: not evidence."])
    caption, details = " ".join(table.caption), " ".join(table.details)
    assert "Test scores on slices: means over 12 images and 3 seeds." in caption
    assert caption.endswith("Made under the quick profile: not evidence.")
    for name in ("Data", "Split", "Training", "Selection"):
        assert f"{name}: {FACTS[name]}." in details
    assert "not of interest" not in details
    assert "MIoU is the mean of IoU over classes" in details
    for text in (markdown(table), latex(table)):
        assert "500f74b86179" in text
        assert "not evidence" in text


def test_latency_is_printed_with_its_device_where_it_was_measured():
    assert "Latency" not in markdown(results_table(frames(*THREE)))
    one = results_table(frames(*THREE, latency_ms=12.34, latency_device="cpu (X, 1 thread)", latency_input="1x96x96"))
    assert "| 12.3 |" in markdown(one)
    assert "cpu (X, 1 thread) at 1x96x96" in " ".join(one.details)
    two = both(
        frames(*THREE, latency_ms=12.34, latency_device="cpu (X, 1 thread)", latency_input="1x96x96"),
        frames(*THREE, task="volumes", latency_ms=0.5, latency_device="cuda (Y)", latency_input="1x96x96"),
    )
    shown = markdown(results_table(two))
    assert "| 12.3 (a) |" in shown
    assert "| 0.5 (b) |" in shown
    assert "(a) cpu (X, 1 thread) at 1x96x96; (b) cuda (Y) at 1x96x96" in shown


def test_seeds_are_a_column_only_where_they_differ():
    assert "Seeds" not in markdown(results_table(frames(*THREE)))
    uneven = both(frames(*THREE), frames(*THREE, task="volumes", seeds=1))
    shown = markdown(results_table(uneven))
    assert "| Seeds |" in shown
    assert "1 to 3 seeds" in shown
    assert "a row of one seed has none" in shown


@pytest.mark.parametrize(
    ("params", "heading", "printed"),
    [((3.7e6, 34.88e6), "Params (M)", ("3.70", "34.88")), ((500, 900), "Params (k)", ("0.50", "0.90")),
     ((480e3, 7.77e6), "Params (M)", ("0.48", "7.77")), ((12, 90), "Params", ("12", "90"))],
)  # fmt: skip
def test_a_column_of_counts_has_one_unit(params, heading, printed):
    shown = markdown(results_table(frames(("a", 0.7, params[0]), ("b", 0.8, params[1]))))
    assert f"| {heading} |" in shown
    assert all(f"| {text} |" in shown for text in printed)


# Renderings ----------------------------------------------------------------------------------------------------------


def test_markdown_has_a_cell_a_column_whatever_the_names():
    names = (EVIL, "x" * 200, "unet")
    shown = markdown(results_table(frames(*((name, 0.7, 1e6 + i) for i, name in enumerate(names)))))
    lines = [line for line in shown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}
    assert "<script>" not in shown
    assert "U-Net" in shown
    assert "| *all foreground* | *0.500* |" in shown


def test_latex_has_the_parts_of_a_printed_table():
    text = latex(results_table(frames(*THREE), facts=FACTS))
    rules = [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert rules == sorted(rules)
    assert text.index(r"\caption{") < text.index(r"\begin{tabular}")
    wide, narrow, trivial = (
        next(line for line in text.splitlines() if line.startswith(name))
        for name in ("wide ", "narrow", r"\textit{all foreground}")
    )
    assert wide.count(r"\textbf{") == 2
    assert r"\rlap{$^{\dagger}$}" in narrow
    assert "textbf" not in narrow
    assert r"\pm" not in trivial
    assert text.index(narrow) < text.rindex(r"\midrule") < text.index(trivial)
    columns = re.search(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}", text)[1]
    assert {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")} == {len(columns) - 1}


def test_latex_groups_several_tasks():
    text = latex(results_table(both(frames(*THREE), frames(*THREE, task="a_b"))))
    assert text.count(r"\multicolumn{6}") == 2
    assert r"{a\_b}" in text


def test_latex_escapes_everything_special():
    assert latex_text("a_b & 50% {x} #1 $y$ ~^\\") == (
        r"a\_b \& 50\% \{x\} \#1 \$y\$ \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert latex_text("<script>") == r"\textless{}script\textgreater{}"
    assert latex_text("0.8 ± 0.1 × 2") == r"0.8 $\pm$ 0.1 $\times$ 2"


def test_csv_is_unrounded_and_complete():
    found = frames(*THREE, (EVIL, 0.75, 2e6))
    table = results_table(found, ("dice",))
    read = list(csv.DictReader(io.StringIO(comma_separated(table))))
    assert [row["label"] for row in read] == ["narrow", EVIL, "wide", "wider", "all foreground"]
    by_label = {row.name: row for row in table.sections[0].rows}
    for row in read:
        entry = by_label[row["label"]].scores["dice"]
        assert float(row["dice"]) == entry.interval.estimate
        assert float(row["dice_low"]) == entry.interval.low
        assert (row["dice_p"] == "") == (entry.p_best is None)
    assert {row["latency_ms"] for row in read} == {""}


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex (texlive-latex-recommended)")
def test_latex_compiles_and_fits_the_page(tmp_path):
    named = [(EVIL, 0.7, 1e6), ("x" * 200, 0.72, 2e6), ("kernels=3/3,5/3,5,7_groups=" * 6, 0.8, 3e6)]
    evil = both(frames(*named), frames(*named, task="a & b_c", latency_ms=1.0, latency_device="cpu (<50%>)"))
    one_seed = results_table(frames(*THREE, seeds=1), ("dice", "iou", "miou"), facts=FACTS)
    tables = [
        latex(results_table(frames(*THREE), facts=FACTS)),
        latex(results_table(evil, facts=FACTS), "evil"),
        latex(one_seed, "one"),
    ]
    (tmp_path / "t.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,tabularx}\begin{document}"
        + r"\clearpage ".join(tables)
        + r"\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout, done.stdout


# What was lost -------------------------------------------------------------------------------------------------------


def with_losses(found: Frames) -> Frames:
    """Of `narrow`, image 00 of every seed is lost, and a fourth seed's training failed."""
    images, trials = found.images, found.trials
    lost = images["key"].str.startswith("slices-0-") & (images["image"] == "00") & (images["class"] == 1)
    images = images.assign(fn=images["fn"] + images["tp"].where(lost, 0), tp=images["tp"].where(~lost, 0))
    failed = trials[trials["key"] == "slices-0-0"].assign(key="slices-0-3", seed=3, state="failed")
    return found._replace(images=images, trials=pd.concat([trials, failed], ignore_index=True))


def test_what_was_lost_stands_beside_each_mean_and_failed_seeds_are_named():
    table = results_table(with_losses(frames(*THREE)))
    lost = {row.name: row.failures for row in table.sections[0].rows}
    assert lost["all foreground"] is None
    assert {name: (one.losses, one.tests) for name, one in lost.items() if one} == {
        "narrow": (15, 48),
        "wide": (0, 36),
        "wider": (0, 36),
    }
    shown = markdown(table)
    assert re.search(r"\| wide \| .* \| 0/36\s≤23\s% \|", shown)
    assert "1 trial failed: narrow (seed 3)." in shown
    assert "Fails: images lost of those tested" in shown
    assert r"0/36~$\leq$23~\%" in latex(table)
    read = {row["label"]: row for row in csv.DictReader(io.StringIO(comma_separated(table)))}
    assert [read["narrow"][name] for name in ("fails", "fails_of", "failed_seeds")] == ["15", "48", "3"]
    assert float(read["wide"]["fails_at_most"]) == pytest.approx(1 - 0.05 ** (1 / 12))
    assert read["all foreground"]["fails"] == ""


# The command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """The command on tables made up here, in place of a study's."""
    from ablate.analysis import frames as frames_module
    from ablate.analysis.report import about
    from ablate.runners.cli import table as module

    class About:
        facts = FACTS

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "open_study", lambda path: path)
    monkeypatch.setattr(module, "notes", lambda study: ["It demonstrates, and is not evidence."])
    monkeypatch.setattr(frames_module, "load", lambda study: frames(*THREE))
    monkeypatch.setattr(about, "about", lambda study, found: About())

    def call(*arguments: str) -> tuple[str, str]:
        module.table.main(["STUDY", *arguments], standalone_mode=False)
        captured = capsys.readouterr()
        return captured.out, captured.err

    return call


def test_the_format_follows_the_files_ending(call, tmp_path):
    for name, begins in (("t.tex", "% needs"), ("t.md", "| Network"), ("t.csv", "data,cell")):
        assert call("-o", name) == ("", "It demonstrates, and is not evidence.\n" if name == "t.csv" else "")
        assert (tmp_path / name).read_text().startswith(begins)
    with pytest.raises(InputError, match=r"-o t\.txt: what is written is \.tex, \.md or \.csv"):
        call("-o", "t.txt")
    assert not (tmp_path / "t.txt").exists()


def test_which_dice_is_lost_can_be_said(call):
    assert re.search(r"below 0\.[34]\d+ \(half of the best network's median\)", call()[0])
    assert "| 36/36" in call("--fail-below", "0.99")[0]
    for given in ("0", "1.5", "nan", "often"):
        with pytest.raises(InputError, match=f"--fail-below '?{given}'?: expected a Dice above 0 and up to 1"):
            call("--fail-below", given)


def test_metrics_are_chosen_and_an_unknown_one_is_named(call):
    out, _ = call("--metrics", "iou, miou")
    assert "| Network | IoU | MIoU |" in out
    with pytest.raises(InputError, match="unknown metric 'dise': did you mean 'dice'"):
        call("--metrics", "dise")
