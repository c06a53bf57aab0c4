"""Figures for print: what is drawn, and that a journal takes the files."""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from commands import ablate
from made_studies import Trained, packed
from PIL import Image
from searched_studies import Made as Searched
from searched_studies import journal, searched_study

from ablate.analysis.frames import load
from ablate.analysis.printed.drawing import Asked
from ablate.analysis.printed.figures import FIGURES, printed
from ablate.analysis.printed.fronts import front_figure
from ablate.analysis.printed.labels import in_full, key_of, short
from ablate.analysis.printed.sheet import in_print
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.study.pictures import keep_pictures, pictures_dir
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.training.loop import judge_trivial, train
from ablate.trial import Protocol, TrialConfig

WIDTHS, RATES = (2, 4), (1e-3, 1e-2)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """Four networks of two factors with two seeds each, and the trivial rows."""
    torch.set_num_threads(1)
    dataset = load_data(Phantom(size=(16, 16), count=12))
    made, levels = [], {}
    for width, rate, seed in itertools.product(WIDTHS, RATES, (0, 1)):
        protocol = Protocol(epochs=2, augment=(), learning_rate=rate)
        trial = TrialConfig(model=UNet(width=width, stages=2), data=dataset.config, protocol=protocol, seed=seed)
        made.append(Trained(trial, dataset, train(trial, dataset, device=torch.device("cpu"))))
        levels[trial.key] = {"model.width": str(width), "protocol.learning_rate": f"{rate:g}", "seed": str(seed)}
    found = Study.open_or_new(tmp_path_factory.mktemp("printed") / "study")
    factors = {"model.width": ["2", "4"], "protocol.learning_rate": ["0.001", "0.01"]}
    with found.writing():
        run: Run = Run(
            space="two", question="?", profile="quick", design="grid", factors=factors, definition={}, trials=levels
        )
        found.plan(run, threads=1, data_dir=None)
        for one in made:
            width = one.trial.model.width
            found.accept(one.trial.key, packed(one, params=100 * width, macs=900 * width))
        for trial in made[0].trial.trivial():
            own = Trained(trial, dataset, judge_trivial(trial, dataset))
            found.accept(trial.key, packed(own, params=0, macs=0))
        first = made[0].trial
        keep_pictures(pictures_dir(found.path, first), dataset, dataset.split(first.protocol.split).test)
    return found


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Study:
    """Two networks that a search began."""
    made = [Searched(4, [0.5, 0.6, 0.7, 0.8]), Searched(2, [0.3, 0.4], state="stopped")]
    found = searched_study(tmp_path_factory.mktemp("searched") / "study", *made)
    steps = [{"event": "went", "cell": one.config.cell, "until": 1, "choice": {}} for one in made]
    steps += [{"event": "saw", "key": one.config.key, "epoch": 1, "score": 0.5, "seconds": 2.0} for one in made]
    journal(found, *map(json.dumps, steps))
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_as_each_file(name, study, searched):
    study = searched if name in ("search", "spending") else study
    frames = load(study)
    by_suffix = {suffix: printed(study, frames, name, suffix).content for suffix in (".pdf", ".svg", ".png")}
    assert by_suffix[".pdf"].startswith(b"%PDF")
    assert b"/FontFile2" in by_suffix[".pdf"], "the font is not in the file"
    assert b"/Type3" not in by_suffix[".pdf"], "a bitmap font"
    assert b"<text" not in by_suffix[".svg"], "a viewer's font would be taken"
    assert Image.open(io.BytesIO(by_suffix[".png"])).width == pytest.approx(85 / 25.4 * 600, abs=1)
    made = printed(study, frames, name, ".pdf")
    assert made.content == by_suffix[".pdf"], "other bytes for the same study"
    assert made.caption.endswith(".")


def test_a_page_is_twice_as_wide(study):
    made = printed(study, load(study), "front", ".svg", Asked(width=174)).content.decode()
    assert float(re.search(r'<svg[^>]* width="([\d.]+)pt"', made)[1]) == pytest.approx(174 / 25.4 * 72, abs=0.1)


def test_the_line_is_the_front(study):
    from ablate.analysis.pareto import fronts

    found = fronts(load(study).trials)[0]
    points = np.array([(point.x, point.y) for point in found.points])
    best = [(x, y) for x, y in points if not any((a <= x and b >= y) and (a, b) != (x, y) for a, b in points.tolist())]
    with in_print():
        figure, named = front_figure(found, None, {}, short({point.label: point.label for point in found.points}), 85)
    lines = [line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
    assert [list(place) for place in sorted(best)] == lines[0]
    assert len(named) == len(best)


def test_letters_stand_for_long_names_alone():
    assert short({"unet": "U-Net", "n7": "n7"}) == {"unet": "U-Net", "n7": "n7"}
    names = {"unet": "U-Net", "width=16": "width=16, stages=3, pyramid=3-5"}
    called = short(names)
    assert called == {"unet": "A", "width=16": "B"}
    assert key_of(called, names, ["width=16"]) == {"B": "width=16, stages=3, pyramid=3-5"}
    assert list(short({f"{at}": f"{at:030d}" for at in range(28)}).values())[-3:] == ["Z", "AA", "AB"]


def test_a_network_that_is_all_of_its_label_has_its_full_name():
    assert in_full("unet_plus_plus", "unet_plus_plus") == "UNet++"
    assert in_full("width=4", "unet") == "width=4"


def test_the_same_network_has_the_same_letter_in_every_figure(study):
    frames = load(study)
    keys = [printed(study, frames, name, ".svg").key for name in ("front", "networks", "curves", "images")]
    said: dict[str, str] = {}
    for key in keys:
        assert key
        for letter, name in key.items():
            assert said.setdefault(letter, name) == name


def test_the_command_writes_it_and_says_what_letters_mean(study, tmp_path):
    done = ablate("figure", study.path, "front", "-o", tmp_path / "front.pdf")
    assert (tmp_path / "front.pdf").read_bytes().startswith(b"%PDF")
    assert "  A  width=" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("front", "-o", "x.html"), "what is written is .pdf, .svg or .png"),
        (("fronts", "-o", "x.pdf"), "unknown figure 'fronts': did you mean 'front'"),
        (("front", "-o", "x.pdf", "--width", "9000"), "--width 9000: expected column, page, or 40 to 400 millimetres"),
        (("front", "-o", "x.pdf", "--x", "latency_ms"), "no network has both latency_ms and dice"),
        (("front", "-o", "x.pdf", "--data", "liver"), "unknown data set 'liver'"),
        (("search", "-o", "x.pdf"), "the study was not searched: `ablate run --space SPACE --search` does"),
        (("all", "-o", "x.pdf"), "`all` writes a folder of files"),
        (("all", "-o", "x", "--width", "page"), "`all` is laid out for a page: leave out --width"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(arguments, said, study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = ablate("figure", study.path, *arguments, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_study_without_factors_has_no_effects(study):
    runs = Run(space="one", question="?", profile="quick", design="grid", factors={}, definition={}, trials={})
    bare = type("Bare", (), {"manifest": type("Manifest", (), {"runs": [runs]})})
    with pytest.raises(InputError, match="no factor of the study was varied"):
        printed(bare, load(study), "effects", ".svg")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex (texlive-latex-recommended)")
def test_the_page_of_all_figures_is_set_by_latex(study, tmp_path):
    done = ablate("figure", study.path, "all", "-o", tmp_path / "paper")
    assert "Without search and spending: the study was not searched" in " ".join(done.stdout.split())
    for _ in range(2):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        subprocess.run(command, cwd=tmp_path / "paper", capture_output=True, check=True)
    log = (tmp_path / "paper/paper.log").read_text(errors="replace")
    assert "undefined" not in log
    assert "Overfull" not in log
    text = (tmp_path / "paper/paper.tex").read_text()
    assert [name for name in FIGURES if f"{{{name}.pdf}}" in text] == list(FIGURES)[:7]
