"""The study directory: what is in it stays in it, and what a kill left half done is completed."""

import json
import multiprocessing
import shutil
import zipfile
from pathlib import Path

import pytest
from made_studies import made_study, packed, record_of, run_of, trained, with_seed

from ablate.data.splits import split
from ablate.errors import InputError
from ablate.study.pictures import keep_pictures, pictures_dir, read_pictures
from ablate.study.plans import Plans
from ablate.study.study import Study
from ablate.study.trial_folder import unpacked, write_folder


@pytest.fixture(scope="module")
def one():
    return trained()


@pytest.fixture
def study(one, tmp_path):
    """A study with one trial."""
    return made_study(tmp_path / "study", one)


def test_a_trial_comes_back_as_it_went_in(study, one):
    trial, dataset, result = one
    keep_pictures(pictures_dir(study.path, trial), dataset, split(dataset.groups, trial.protocol.split).test)
    again = Study.open(study.path)
    assert again.records() == {trial.key: record_of(one)}
    assert again.config(trial.key) == trial
    assert again.config(trial.key).key == trial.key
    assert again.manifest.threads == 1
    images = again.table(trial.key, "images")
    assert list(images.columns) == ["key", "image", "case", "class", "tp", "fp", "fn", "tn"]
    assert images[["tp", "fp", "fn", "tn"]].to_numpy().reshape(result.counts.shape).tolist() == result.counts.tolist()
    assert (images[["tp", "fp", "fn", "tn"]].sum(axis=1) == 256).all()
    assert again.table(trial.key, "epochs")["val_dice"].tolist() == [epoch.val_dice for epoch in result.epochs]
    for image in result.ids:
        assert again.sample(trial.key, image) == (again.trial_dir(trial.key) / "samples" / f"{image}.png").read_bytes()
        kept = read_pictures(pictures_dir(again.path, trial), image)
        assert kept.mask == (pictures_dir(again.path, trial) / f"{image}_mask.png").read_bytes()


def test_sha256sum_agrees_with_a_trials_checksums(study, one):
    import subprocess

    folder = study.trial_dir(one.trial.key)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True)
    listed = {line.removesuffix(": OK") for line in done.stdout.splitlines()}
    assert listed | {"SHA256SUMS"} == {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("moment", ["before the rename", "after the rename"])
def test_what_a_kill_left_half_done_is_completed(tmp_path, one, moment):
    trial = one.trial
    study = made_study(tmp_path)
    with study.writing():
        study.plan(run_of(trial), threads=1, data_dir=None)
        if moment == "before the rename":
            write_folder(tmp_path / "trials" / f"{trial.key}.partial", unpacked(packed(one)), {})
        else:
            write_folder(study.trial_dir(trial.key), unpacked(packed(one)), {})
    expected = {} if moment == "before the rename" else {trial.key: record_of(one)}
    again = Study.open(tmp_path)
    with again.writing():
        assert again.records() == expected
    assert Study.open(tmp_path).records() == expected
    assert {folder.name for folder in (tmp_path / "trials").iterdir()} == set(expected)
    assert again.mended == ""


def test_a_kill_between_two_renames_leaves_the_earlier_attempt(study, one):
    home = study.trial_dir(one.trial.key)
    home.rename(home.with_name(f"{home.name}.replaced"))
    again = Study.open(study.path)
    assert again.records() == {one.trial.key: record_of(one)}
    assert again.config(one.trial.key) == one.trial
    with again.writing():
        assert home.exists()
    assert Study.open(study.path).records() == {one.trial.key: record_of(one)}


@pytest.mark.parametrize("name", ["record.json", "SHA256SUMS"])
@pytest.mark.parametrize("content", [b"cut", b"", None])
def test_a_trial_whose_record_cannot_be_believed_is_left_out_and_said(study, one, name, content):
    file = study.trial_dir(one.trial.key) / name
    file.unlink() if content is None else file.write_bytes(content)
    for opened in (study, Study.open(study.path)):  # what was read before does not hold against the disk
        assert opened.records() == {}
        assert opened.has(one.trial.key)
        assert "damaged or missing: `ablate verify" in opened.sound().left_out[one.trial.key]
        assert one.trial.key in " ".join(opened.said_of_faults())


def test_a_folder_that_is_put_in_by_hand_is_a_trial(tmp_path, one):
    """The folders are the truth: another machine's, copied in, need nothing else."""
    study = made_study(tmp_path)
    with study.writing():
        study.plan(run_of(one.trial), threads=1, data_dir=None)
    assert study.records() == {}
    write_folder(study.trial_dir(one.trial.key), unpacked(packed(one)), {})
    assert study.records() == {one.trial.key: record_of(one)}
    shutil.rmtree(study.trial_dir(one.trial.key))
    assert study.records() == {}


@pytest.mark.parametrize("name", ["config.json", "epochs.parquet", "images.parquet"])
def test_a_damaged_file_is_one_line_that_says_what_to_do(study, one, name):
    file = study.trial_dir(one.trial.key) / name
    for content in (b"x", None):
        file.write_bytes(content) if content else file.unlink()
        with pytest.raises(InputError, match="is damaged or missing: `ablate verify"):
            study.config(one.trial.key) if name == "config.json" else study.table(one.trial.key, name.split(".")[0])


def test_what_is_no_whole_archive_changes_nothing(study, one):
    with study.writing():
        for content in (b"no archive", packed(one)[:-100]):
            with pytest.raises(zipfile.BadZipFile):
                study.accept(one.trial.key, content)
    assert Study.open(study.path).records() == {one.trial.key: record_of(one)}
    assert [folder.name for folder in (study.path / "trials").iterdir()] == [one.trial.key]


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_a_trial_tried_again_replaces_its_earlier_attempt(tmp_path, one, state):
    key = one.trial.key
    study = made_study(tmp_path)
    with study.writing():
        study.accept(key, packed(one, state=state, error="diverged", epochs=1, best_epoch=None, val_dice=None))
        assert study.records()[key].state == state
        study.accept(key, packed(one))
    again = Study.open(tmp_path)
    assert again.records()[key].state == "complete"
    assert study.records() == again.records()


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_a_complete_trial_stays_where_it_came_to_nothing_anew(study, one, state):
    key = one.trial.key
    with study.writing():
        study.accept(key, packed(one, state=state, error="diverged", epochs=1, best_epoch=None, val_dice=None))
    assert Study.open(study.path).records() == {key: record_of(one)}
    assert Study.open(study.path).table(key, "images") is not None


def test_planning_again_adds_and_never_drops(tmp_path, one):
    first, second = one.trial, one.trial.model_copy(update={"seed": 1})
    study = Study.open_or_new(tmp_path)
    with study.writing():
        study.plan(run_of(first), threads=1, data_dir=None)
        study.plan(run_of(second), threads=1, data_dir=None)
        study.plan(run_of(second, space="other"), threads=1, data_dir=None)
    assert Study.open(tmp_path).plans.levels == {
        first.key: {"widths.seed": "0"},
        second.key: {"widths.seed": "1", "other.seed": "1"},
    }


def test_a_study_has_an_id_of_its_own_that_stays(tmp_path, one):
    first, second = made_study(tmp_path / "a", one), made_study(tmp_path / "b", one)
    assert first.manifest.id != second.manifest.id
    assert Study.open(tmp_path / "a").manifest.id == first.manifest.id


def test_a_study_in_which_nothing_was_planned_can_be_begun_again(tmp_path):
    with Study.open_or_new(tmp_path).writing():
        pass
    with Study.open_or_new(tmp_path).writing() as study:
        assert study.records() == {}


# Several processes ---------------------------------------------------------------------------------------------------


def _hold(path: Path, share: bool, keys: list[str], held, release) -> None:
    study = Study.open_or_new(path)
    with study.writing(share=share):
        for key in keys:
            assert study.claim(key)
        held.set()
        release.wait(30)


@pytest.fixture
def holder():
    """Starts a process that holds a study and claims trials in it."""
    context = multiprocessing.get_context("spawn")
    started = []

    def start(path: Path, *keys: str, share: bool = False):
        held, release = context.Event(), context.Event()
        process = context.Process(target=_hold, args=(path, share, list(keys), held, release))
        process.start()
        started.append(process)
        assert held.wait(60)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def test_a_second_writer_is_told_who_holds_the_study(tmp_path, holder):
    process = holder(tmp_path)
    study = Study.open_or_new(tmp_path)
    assert study.is_being_written()
    with pytest.raises(InputError, match=f"in use by process {process.pid} on .*--share"), study.writing():
        pass
    process.kill()
    process.join()
    with study.writing():
        pass
    assert not study.is_being_written()


def test_two_runs_that_share_a_study_leave_each_other_their_trials(study, one, holder):
    theirs, ours = "0" * 12, "f" * 12
    process = holder(study.path, theirs)
    other = trained(one.dataset, seed=1)
    with study.writing(share=True):
        assert not study.claim(theirs)
        assert study.claim(ours)
        study.accept(other.trial.key, packed(other))
        study.plan(run_of(other.trial, space="mine"), threads=1, data_dir=None)
        assert study.is_being_written()
        process.kill()
        process.join()
        assert study.claim(theirs)  # what a dead process had taken is free
        study.release(theirs)
        late = holder(study.path, theirs, share=True)
        assert not study.claim(theirs)
        late.kill()
    assert set(Study.open(study.path).records()) == {one.trial.key, other.trial.key}
    assert {run.space for run in Study.open(study.path).manifest.runs} == {"widths", "mine"}


def _accept(path: Path, trials: dict[str, bytes], both) -> None:
    study = Study.open(path)
    with study.writing(share=True):
        both.wait(60)
        for key, content in trials.items():
            study.accept(key, content)


def test_trials_that_two_runs_accept_at_a_time_are_all_in_the_table(study, one):
    context = multiprocessing.get_context("spawn")
    both = context.Barrier(2)
    others = [with_seed(one, seed) for seed in range(1, 31)]
    halves = [{other.trial.key: packed(other) for other in others[half::2]} for half in (0, 1)]
    processes = [context.Process(target=_accept, args=(study.path, half, both)) for half in halves]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    records = Study.open(study.path).records()
    assert sorted(record.seed for record in records.values()) == list(range(31))


# Opening -------------------------------------------------------------------------------------------------------------


def test_a_command_that_found_nothing_to_plan_does_not_block_the_next(tmp_path):
    with Study.open_or_new(tmp_path).writing():
        (tmp_path / "ray").mkdir()
    assert Study.open_or_new(tmp_path).records() == {}
    (tmp_path / "ray" / "mine").write_text("x")
    with pytest.raises(InputError, match="neither a study nor an empty directory"):
        Study.open_or_new(tmp_path)


def test_opening_what_is_no_study(tmp_path):
    with pytest.raises(InputError, match=r"is not a study \(it has no study.yaml\)"):
        Study.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="neither a study nor an empty directory"):
        Study.open_or_new(tmp_path)
    with (
        pytest.raises(InputError, match="cannot be written"),
        Study(tmp_path / "file", Study.open_or_new(tmp_path / "new").manifest, Plans()).writing(),
    ):
        pass
    (tmp_path / "study.yaml").write_text("schema_version: [")
    with pytest.raises(InputError, match="cannot be read"):
        Study.open(tmp_path)
    (tmp_path / "study.yaml").write_text("schema_version: 1\nsurprise: 2\n")
    with pytest.raises(InputError, match="no field 'surprise'"):
        Study.open(tmp_path)


def test_a_study_of_a_newer_schema_is_left_alone(tmp_path):
    content = json.dumps({"schema_version": 99})
    (tmp_path / "study.yaml").write_text(content)
    with pytest.raises(InputError, match="schema 99, this ablate knows 4: install a newer ablate"):
        Study.open(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["study.yaml"]
    assert (tmp_path / "study.yaml").read_text() == content


def test_an_unknown_key_names_the_nearest(study, one):
    key = one.trial.key
    with pytest.raises(InputError, match=f"did you mean '{key}'"):
        study.config(key[:-1] + "x")
