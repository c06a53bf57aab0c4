"""`ablate verify`: whatever is changed in a study is named, and nothing else; what is repaired is sound."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as parquet
import pytest
from made_studies import Trained, made_study, packed, run_of, trained, trivial
from PIL import Image

from ablate.data.load import load_data
from ablate.data.settings import Folder
from ablate.data.splits import split
from ablate.runners.cli.verify import verify as command
from ablate.study import contents
from ablate.study.data_sets import changed_images, data_sets
from ablate.study.pictures import keep_pictures, pictures_dir
from ablate.study.runs import is_key
from ablate.study.study import Study
from ablate.study.trial_folder import write_checksums
from ablate.study.verify import Problem, repair, verify


@pytest.fixture(scope="module")
def trials() -> list[Trained]:
    first = trained()
    return [first, trained(first.dataset, seed=1), *trivial(first)]


@pytest.fixture(scope="module")
def sound(trials, tmp_path_factory) -> Path:
    return made_study(tmp_path_factory.mktemp("sound") / "study", *trials).path


@pytest.fixture
def path(sound, tmp_path) -> Path:
    """A sound study of two trained and three trivial trials."""
    return shutil.copytree(sound, tmp_path / "study")


@pytest.fixture
def key(trials) -> str:
    return trials[0].trial.key


def found(path: Path) -> list[tuple[str, str]]:
    return [(problem.subject, problem.what) for problem in verify(Study.open(path))]


def repaired(path: Path) -> set[str]:
    """Repair a study, check that it is sound after that, and say which trials it has lost."""
    study = Study.open(path)
    before = {folder.name for folder in (path / "trials").iterdir() if is_key(folder.name)} | study.logged_as_ended()
    with study.holding():
        repair(study, verify(study))
    assert found(path) == []
    return before - set(Study.open(path).records())


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def rewrite(folder: Path, name: str, change: Callable) -> None:
    """Change a trial's table with its checksums: as if it had been written so."""
    file = folder / name
    table = parquet.read_table(file)
    frame = change(table.to_pandas())
    frame.to_parquet(file, index=False)
    write_checksums(folder)


def test_a_sound_study_has_no_problem_and_is_only_read(path):
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    seen = []
    assert verify(Study.open(path), lambda done, total: seen.append((done, total))) == []
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_a_study_whose_path_is_no_text_is_read_like_any_other(path):
    odd = path.rename(path.parent / os.fsdecode(b"s\xff"))
    assert found(odd) == []
    study = Study.open(odd)
    assert len(study.sound().records) == 5
    assert all(len(study.table(key, "epochs")) == study.records()[key].epochs for key in study.records())


# What changed on the disk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [0, 0.5, 1])
@pytest.mark.parametrize(
    "name", ["config.json", "record.json", "epochs.parquet", "images.parquet", "model.safetensors", "plan.json"]
)
def test_one_flipped_bit_names_exactly_its_file(path, key, name, where):
    folder = path / "trials" / key
    file = folder / name
    flip(file, int(where * (file.stat().st_size - 1)))
    assert found(path) == [(key, f"{name}: it is not what was written")]
    assert verify(Study.open(path))[0].remedy == "retrain"
    assert repaired(path) == {key}


def test_no_flipped_bit_of_the_checksums_is_overlooked_or_costs_another_trial(path, key):
    file = path / "trials" / key / "SHA256SUMS"
    whole, choose = file.read_bytes(), random.Random(0)
    for at in sorted({0, len(whole) - 1, *choose.sample(range(len(whole)), 60)}):
        for bit in (0, choose.randrange(1, 8)):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
            assert found(path), (at, bit)
            assert all(subject == key or subject.startswith(f"trials/{key}/") for subject, _ in found(path))
    file.write_bytes(whole)
    assert found(path) == []


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("name", ["trials/{key}/samples/{image}.png", "data/{print}/{image}.png"])
def test_a_damaged_picture_costs_that_picture(path, trials, name, gone):
    """The trial, and the other pictures, stay; and the next run makes it again."""
    one = trials[0]
    folder = pictures_dir(path, one.trial)
    keep_pictures(folder, one.dataset, split(one.dataset.groups, one.trial.protocol.split).test)
    assert found(path) == []
    name = name.format(key=one.trial.key, print=folder.name, image=one.result.ids[0])
    before = {file: file.read_bytes() for file in path.rglob("*.png")}
    (path / name).unlink() if gone else flip(path / name, 40)
    assert found(path) == [(name, "it is missing" if gone else "it is not what was written")]
    assert repaired(path) == set()
    after = {file: file.read_bytes() for file in path.rglob("*.png") if "set-aside" not in file.parts}
    assert after == {file: content for file, content in before.items() if file != path / name}
    assert Study.open(path).sample(one.trial.key, one.result.ids[1]) is not None


@pytest.mark.parametrize("step", ["set_aside", "_without_picture", "keep_checksums"])
def test_a_repair_of_a_picture_that_is_killed_costs_no_trial(path, trials, monkeypatch, step):
    one = trials[0]
    flip(path / "trials" / one.trial.key / "samples" / f"{one.result.ids[0]}.png", 40)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    study = Study.open(path)
    monkeypatch.setattr(f"ablate.study.verify.{step}", killed)
    with pytest.raises(KeyboardInterrupt), study.holding():
        repair(study, verify(study))
    monkeypatch.undo()
    repaired(path)
    assert set(Study.open(path).records()) == {one.trial.key for one in trials}


@pytest.mark.parametrize("name", ["config.json", "record.json", "epochs.parquet", "model.safetensors", "SHA256SUMS"])
def test_a_missing_file_is_named(path, key, name):
    (path / "trials" / key / name).unlink()
    assert found(path) == [(key, f"{name}: it is missing")]
    assert repaired(path) == {key}


def test_a_missing_folder_is_named(path, key):
    shutil.rmtree(path / "trials" / key)
    assert found(path) == [(key, "its folder is missing")]
    assert repaired(path) == {key}


def test_swapped_folders_are_named(path, trials):
    one, other = (path / "trials" / trial.trial.key for trial in trials[:2])
    one.rename(path / "x")
    other.rename(one)
    (path / "x").rename(other)
    expected = [(one.name, other.name), (other.name, one.name)]
    assert found(path) == sorted((mine, f"its folder is that of trial {theirs}") for mine, theirs in expected)
    with Study.open(path).writing() as study:  # a run does not take them for new trials
        assert len(study.records()) == 3
        assert set(study.sound().left_out) == {one.name, other.name}
    assert repaired(path) == {one.name, other.name}


def test_what_is_no_file_of_the_study_is_set_aside_and_its_trial_kept(path, key):
    (path / "trials" / key / "notes.txt").write_text("mine")
    (path / "trials" / "notes").mkdir()
    assert set(found(path)) == {
        (f"trials/{key}/notes.txt", "it is no file of the trial"),
        ("trials/notes", "it is no trial's folder"),
    }
    assert repaired(path) == set()
    names = {file.name.rsplit("-", 3)[0]: file for file in (path / "set-aside").iterdir()}
    assert set(names) == {f"trials_{key}_notes.txt", "trials_notes"}
    assert names[f"trials_{key}_notes.txt"].read_text() == "mine"


# What is inconsistent, though its checksums are right ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("epochs.parquet", lambda t: t.iloc[::-1], "its epochs are not 1 to 2"),
        ("epochs.parquet", lambda t: t.iloc[:1], "its epochs are not 1 to 2"),
        ("epochs.parquet", lambda t: t.assign(val_iou=t["val_iou"] + 1e-9), "its best epoch has other scores"),
        ("epochs.parquet", lambda t: t.assign(key="x"), "it has rows of another trial"),
        ("epochs.parquet", lambda t: t.drop(columns="val_dice"), "it cannot be read"),
        ("images.parquet", lambda t: t.assign(tp=t["tp"] - 300, fn=t["fn"] + 300), "it has negative counts"),
        ("images.parquet", lambda t: t.assign(fp=t["fp"] + 1), "its counts do not sum to 16x16 pixels"),
        ("images.parquet", lambda t: t[t["class"] == 1], "it does not have each of 2 classes once an image"),
        ("images.parquet", lambda t: t.iloc[[*range(len(t)), 0]], "it does not have each of 2 classes once an image"),
        ("images.parquet", lambda t: t.iloc[:0], "it has rows of another trial, or none"),
    ],
)
def test_a_table_that_does_not_fit_is_named(path, key, name, change, what):
    rewrite(path / "trials" / key, name, change)
    ((subject, said),) = found(path)
    assert (subject, said[: len(name) + 2 + len(what)]) == (key, f"{name}: {what}")
    assert repaired(path) == {key}


def test_a_key_that_is_not_the_configurations_is_named(path, key):
    folder = path / "trials" / key
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"seed": 7}))
    write_checksums(folder)
    ((subject, what),) = found(path)
    assert (subject, what[:24]) == (key, "config.json: its key is ")
    assert repaired(path) == {key}


def test_weights_that_are_no_safetensors_are_named(path, key):
    (path / "trials" / key / "model.safetensors").write_bytes(b"weights")
    write_checksums(path / "trials" / key)
    assert found(path) == [(key, "model.safetensors: it is no safetensors file")]
    assert repaired(path) == {key}


# Repair --------------------------------------------------------------------------------------------------------------


def test_repair_loses_exactly_what_is_damaged_and_deletes_nothing(path, trials):
    from ablate.analysis.frames import load

    bad, good = trials[0].trial.key, trials[1].trial.key
    flip(path / "trials" / bad / "images.parquet", 200)
    damaged = {f.name: f.read_bytes() for f in (path / "trials" / bad).iterdir() if f.is_file()}
    assert repaired(path) == {bad}
    assert bad not in set(load(Study.open(path)).trials["key"])
    assert good in set(load(Study.open(path)).trials["key"])
    aside = {file.name.split("-")[0]: file for file in (path / "set-aside").iterdir()}
    assert {f.name: f.read_bytes() for f in aside[bad].iterdir() if f.is_file()} == damaged
    assert bad in Study.open(path).plans.levels  # so that the next run trains it
    study = Study.open(path)
    with study.writing():
        study.accept(bad, packed(trials[0]))
    assert found(path) == []
    assert len(study.records()) == 5


@pytest.mark.parametrize("step", ["set_aside", "Study.put_in_order"])
def test_a_repair_that_is_killed_in_between_is_finished_by_the_next(path, trials, monkeypatch, step):
    for one in trials[:2]:
        flip(path / "trials" / one.trial.key / "epochs.parquet", 100)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    study = Study.open(path)
    problems = verify(study)
    monkeypatch.setattr(f"ablate.study.verify.{step}", killed)
    with pytest.raises(KeyboardInterrupt), study.holding():
        repair(study, problems)
    monkeypatch.undo()
    with Study.open(path).writing():  # a run in between takes nothing for sound that is not
        pass
    repaired(path)
    assert set(Study.open(path).records()) == {one.trial.key for one in trials[2:]}


def test_no_damage_whatever_is_a_traceback(path):
    """Files of a study overwritten, truncated, removed or turned into folders at random: named, and repaired."""
    choose = random.Random(0)
    spare = path.parent / "spare"
    for _ in range(25):
        shutil.rmtree(spare, ignore_errors=True)
        shutil.copytree(path, spare)
        files = sorted(file for file in spare.rglob("*") if file.is_file() and file.name != "study.yaml")
        files = [file for file in files if not file.name.startswith(".")]
        for file in choose.sample(files, 3):
            content, at = file.read_bytes(), choose.random()
            file.unlink()
            damage = choose.randrange(4)
            if damage == 0:
                file.mkdir()
            elif damage == 1:
                file.write_bytes(content[: int(at * len(content))])
            elif damage == 2:
                file.write_bytes(content[: int(at * len(content))] + choose.randbytes(20))
        assert found(spare)
        for _ in range(2):
            study = Study.open(spare)
            with study.holding():
                repair(study, verify(study))
        assert found(spare) == []
        Study.open(spare).records()


# Data sets -----------------------------------------------------------------------------------------------------------


def draw(root: Path, shift: int = 0) -> None:
    random = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True, exist_ok=True)
    for i in range(8):
        mask = np.zeros((16, 16), np.uint8)
        mask[4:12, 3 + i % 4 : 9 + i % 4] = 255
        image = (mask // 2 + random.integers(0, 60, mask.shape)).astype(np.uint8)
        image[0, 0] += shift if i == 3 else 0
        Image.fromarray(image).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")


@pytest.fixture
def images(tmp_path):
    """A folder of images, and a study that was trained on them."""
    root = tmp_path / "images"
    draw(root)
    one = trained(load_data(Folder(root=root, size=(16, 16))))
    return root, made_study(tmp_path / "study", one, *trivial(one), data_dir=root), one.trial


def test_one_pixel_changed_between_two_runs_gives_new_keys_and_is_said(images):
    root, study, trial = images
    same = trial.model_copy(update={"data": load_data(Folder(root=root, size=(16, 16))).config})
    assert same.key == trial.key
    assert changed_images(study, [same]) == []
    draw(root, shift=1)
    now = trial.model_copy(update={"data": load_data(Folder(root=root, size=(16, 16))).config})
    assert now.key not in study.records()
    other = now.model_copy(update={"seed": 9})  # which was never trained
    assert changed_images(study, [now, other]) == [
        "the images of 'folder' have changed since 1 trial of this study was trained (fingerprint "
        f"{trial.data.fingerprint} → {now.data.fingerprint}): to be trained anew"
    ]


def test_images_that_changed_after_training_are_a_problem_that_repair_leaves(images, capsys):
    root, study, trial = images
    assert command.main([str(study.path)], standalone_mode=False) == 0
    draw(root, shift=1)
    ((name, trials, recorded, today, _),) = data_sets(study, None)
    assert (name, trials, recorded) == ("folder", 4, trial.data.fingerprint)
    assert today == load_data(Folder(root=root, size=(16, 16))).config.fingerprint
    capsys.readouterr()
    assert command.main([str(study.path), "--repair"], standalone_mode=False) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert f"changed since 4 trials of this study were trained (fingerprint {recorded} → {today})" in printed
    assert len(study.records()) == 4
    draw(root)
    assert command.main([str(study.path)], standalone_mode=False) == 0


def test_each_data_set_of_a_factor_is_looked_for_in_its_own_folder(tmp_path):
    roots = [tmp_path / name for name in ("a", "b")]
    for shift, root in enumerate(roots):
        draw(root, shift)
    trials = [trained(load_data(Folder(root=root, size=(16, 16)))) for root in roots]
    study = Study.open_or_new(tmp_path / "study")
    levels = {root.name: {"data.name": "folder", "data.root": str(root)} for root in roots}
    run = run_of(*(one.trial for one in trials)).model_copy(update={"definition": {"factors": {"folder": levels}}})
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        for one in trials:
            study.accept(one.trial.key, packed(one))
    assert all(one.problem() is None and one.found for one in data_sets(study, None))
    draw(roots[1], shift=7)
    (changed,) = [one for one in data_sets(study, None) if one.problem()]
    assert changed.recorded == trials[1].trial.data.fingerprint


def test_images_that_are_elsewhere_are_found_with_data_dir_and_else_not_compared(images, capsys):
    root, study, _ = images
    moved = root.rename(root.with_name("moved"))
    assert command.main([str(study.path)], standalone_mode=False) == 0
    assert "the images of 'folder' could not be compared" in capsys.readouterr().out
    assert command.main([str(study.path), "--data-dir", str(moved)], standalone_mode=False) == 0
    assert "could not be compared" not in capsys.readouterr().out


# The command ---------------------------------------------------------------------------------------------------------


def test_the_command_says_what_is_wrong_in_a_line_each_and_exits_with_1(path, key, capsys):
    assert command.main([str(path)], standalone_mode=False) == 0
    assert capsys.readouterr().out == f"{path}: 5 trials, all sound\n"
    flip(path / "trials" / key / "record.json", 20)
    assert command.main([str(path)], standalone_mode=False) == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == f"{key}: record.json: it is not what was written"
    assert "--repair sets it aside, and the next run trains it anew" in " ".join(printed.split())
    assert max(len(line) for line in printed.splitlines() if str(path) not in line) <= 80
    assert command.main([str(path), "--repair"], standalone_mode=False) == 0
    assert "1 trial set aside" in capsys.readouterr().out
    assert command.main([str(path)], standalone_mode=False) == 0


def test_the_command_prints_one_document(path, key, capsys):
    flip(path / "trials" / key / "record.json", 20)
    assert command.main([str(path), "--json"], standalone_mode=False) == 1
    document = json.loads(capsys.readouterr().out)
    problem = Problem(key, "record.json: it is not what was written", "retrain")
    assert document["problems"] == [{"subject": key, "what": problem.what, "means": problem.means}]
    assert (document["sound"], document["left"]) == (False, document["problems"])
    assert command.main([str(path), "--repair", "--json"], standalone_mode=False) == 0
    document = json.loads(capsys.readouterr().out)
    assert (len(document["problems"]), document["sound"], document["left"]) == (1, True, [])


def test_a_study_in_use_is_verified_with_a_note_and_not_repaired(path, capsys):
    from ablate.errors import InputError

    with Study.open(path).writing():
        assert command.main([str(path)], standalone_mode=False) == 0
        assert "a run is writing this study" in capsys.readouterr().out
        with pytest.raises(InputError, match="is in use by"):
            command.main([str(path), "--repair"], standalone_mode=False)


@pytest.mark.parametrize(
    ("epochs", "best", "patience", "whole"),
    [(5, 2, None, True), (4, 2, None, False), (4, 2, 2, True), (4, 1, 2, False), (3, 2, 2, False), (5, 4, 2, True),
     (6, 4, 2, False), (4, None, 2, False)],
)  # fmt: skip
def test_a_complete_trial_has_all_epochs_or_those_until_its_patience_ended(epochs, best, patience, whole):
    record = SimpleNamespace(epochs=epochs, best_epoch=best)
    config = SimpleNamespace(protocol=SimpleNamespace(epochs=5, patience=patience))
    assert contents._ended(record, config) == whole
