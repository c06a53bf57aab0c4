"""Studies that somebody means ill by: links, pipes, devices, paths in keys and names, giant numbers, markup, pickles.

Each is put through every command beside a canary, a tree of files that no command has any business with.
`python tests/fuzz/hostile.py` prints figures; the test beside this tries some of them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import random
import shutil
import socket
import stat
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml
from damaged import make_study
from forked import Ran, call, prepare

SECRET = "nobody-reads-the-canary"
UP = "../" * 12


class Hostile(NamedTuple):
    """A way to spoil a copy of a study at `study`; `canary` is the folder that must stay as it is."""

    name: str
    spoil: Callable[[Path, Path], None]


class Case(NamedTuple):
    name: str
    ran: tuple[Ran, ...]
    faults: tuple[str, ...]


# The canary ----------------------------------------------------------------------------------------------------------


def make_canary(folder: Path) -> None:
    """Files and folders as a user has them, some of which look like a study's."""
    for name in ("file", "images/0.png", "x.partial", "checkpoints/y.partial", "trials/0123456789ab/record.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{SECRET} {name}\n")
    (folder / "empty").mkdir()
    (folder / "private").write_text(SECRET)
    (folder / "private").chmod(0o600)


def picture_of(folder: Path) -> dict[str, tuple[Any, ...]]:
    """All that there is to know of a tree: names, kinds, permissions, times of change, numbers of links, contents."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        at = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(at.st_mode) else b""
        found[str(path.relative_to(folder))] = (at.st_mode, at.st_mtime_ns, at.st_size, at.st_ino, content)
    return found


# Links and the like, at every name -----------------------------------------------------------------------------------


def _names(study: Path) -> list[str]:
    """Every name that the product writes in a study, there or not yet."""
    key = sorted(path.name for path in (study / "trials").iterdir())[0]
    there = [str(path.relative_to(study)) for path in study.rglob("*")]
    mine = [name for name in there if not name.startswith("trials/") or name.startswith(f"trials/{key}")]
    later = [
        *("study.yaml.partial", "study.yaml.copy.partial", "plans.jsonl.partial", "plans.jsonl.copy.partial"),
        *("measurements.json.partial", "report.html.partial", "searches", "searches/widths-quick-tpe-0.jsonl"),
        *("optuna.journal", "optuna.journal.lock", "before-schema-4", "set-aside", "tensorboard", "mlflow.db"),
        *("ray/claims", "ray/arrivals", "ray/checkpoints", "ray/probes", "ray/drivers"),
        *(
            f"ray/arrivals/{key}.zip",
            f"ray/checkpoints/{key}.safetensors",
            f"ray/drivers/{socket.gethostname()}-1.json",
        ),
        *(f"trials/{key}.partial", f"trials/{key}.replaced", "trials/fedcba987654", "trials/notes"),
        *("logs", f"logs/{key}.log", "data"),
    ]
    return sorted({*mine, *later})


def _clear(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path may have a hundred bytes
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "a link to a file": lambda path, canary: path.symlink_to(canary / "file"),
    "a link to a private file": lambda path, canary: path.symlink_to(canary / "private"),
    "a link to a folder": lambda path, canary: path.symlink_to(canary),
    "a link to nothing": lambda path, canary: path.symlink_to(canary / "new"),
    "a hard link": lambda path, canary: path.hardlink_to(canary / "file"),
    "a named pipe": lambda path, canary: os.mkfifo(path),
    "a device": lambda path, canary: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5)),
    "a socket": lambda path, canary: _socket(path),
    "a folder": lambda path, canary: path.mkdir(),
    "an empty file": lambda path, canary: path.touch(),
}


def entries(study: Path) -> Iterator[Hostile]:
    for name in _names(study):
        for kind, make in KINDS.items():

            def spoil(study: Path, canary: Path, name: str = name, make: Callable[..., object] = make) -> None:
                _clear(study / name)
                make(study / name, canary)

            yield Hostile(f"{name} is {kind}", spoil)


# What stands in files ------------------------------------------------------------------------------------------------

PLANS = ("plans.jsonl", "plans.jsonl.copy")
PATHS = (
    f"{UP}CANARY/file", "../../CANARY", "/CANARY/file", "..", ".", "", "a/b", "0123456789ab\n", "0123456789ab/..",
    "0" * 5000, "\x00", "CON", "~/x", "$(touch CANARY/new)",
)  # fmt: skip
TEXTS = (
    "[red]x[/red]", "[/x]", "\x1b]0;owned\x07\x1b[2J", "\r\n\x08\x7f\x9b31m", "\u202e\u2066\u2028",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>", "]]>", "\ud800", "{{7*7}}", "%s%n", "x" * 100_000, "'; DROP TABLE", "-o",
    "\N{FULLWIDTH LEFT SQUARE BRACKET}\N{ZERO WIDTH JOINER}" * 50,
)  # fmt: skip
NUMBERS = (
    10**400, -1, -(10**30), 2**63, 2**31, 1e308, float("inf"), float("-inf"), float("nan"), 0, True, None,
    [], {}, "1e999",
)  # fmt: skip


def _sealed(study: Path, manifest: Any) -> None:
    """The manifest and its copy as if they had been written so."""
    import hashlib

    body = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=False).encode()
    content = b"# sha256 of the rest: " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    for name in ("study.yaml", "study.yaml.copy"):
        (study / name).write_bytes(content)


def _manifest(study: Path) -> Any:
    return yaml.safe_load((study / "study.yaml").read_bytes().partition(b"\n")[2])


def _places(tree: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a tree of plain data."""
    yield way
    if isinstance(tree, dict | list):
        for name in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield from _places(tree[name], (*way, name))


def _put(tree: Any, way: tuple[Any, ...], value: Any, *, as_name: bool) -> Any:
    """The tree with another value, or another name, at a place."""
    if not way:
        return value
    *parents, last = way
    at = tree
    for name in parents:
        at = at[name]
    if as_name and isinstance(at, dict):
        at[value if isinstance(value, str) else str(value)] = at.pop(last)
    else:
        at[last] = value
    return tree


def _filled(value: Any, canary: Path) -> Any:
    return value.replace("CANARY", str(canary).lstrip("/")) if isinstance(value, str) else value


def _json_or_none(value: Any) -> str:
    return json.dumps(value)  # with NaN and Infinity, as Python has them


def _with_checksums(folder: Path) -> None:
    """A trial's checksums as if the folder had been written so."""
    from ablate.study.trial_folder import write_checksums

    (folder / "SHA256SUMS").unlink(missing_ok=True)
    write_checksums(folder)


def _plans(study: Path) -> list[Any]:
    from ablate.study.sealed_lines import unseal

    return [json.loads(unseal(line)) for line in (study / "plans.jsonl").read_bytes().splitlines()]


def contents(study: Path, count: int, seed: int) -> Iterator[Hostile]:
    """Values of the lists above at random places of each kind of file."""
    choose = random.Random(seed)
    trials = sorted((study / "trials").iterdir())
    complete = next(t for t in trials if (t / "model.safetensors").exists())
    values = (*PATHS, *TEXTS, *NUMBERS)

    def in_manifest(way: tuple[Any, ...], value: Any, as_name: bool) -> Callable[[Path, Path], None]:
        return lambda s, canary: _sealed(s, _put(_manifest(s), way, _filled(value, canary), as_name=as_name))

    def in_json(name: str, way: tuple[Any, ...], value: Any, as_name: bool) -> Callable[[Path, Path], None]:
        def spoil(s: Path, canary: Path) -> None:
            file = s / name
            tree = _put(json.loads(file.read_text()), way, _filled(value, canary), as_name=as_name)
            file.write_text(_json_or_none(tree))
            if name.startswith("trials/"):
                _with_checksums(file.parent)

        return spoil

    def in_plans(line: int, way: tuple[Any, ...], value: Any, as_name: bool) -> Callable[[Path, Path], None]:
        def spoil(s: Path, canary: Path) -> None:
            from ablate.study.sealed_lines import seal

            lines = _plans(s)
            lines[line] = _put(lines[line], way, _filled(value, canary), as_name=as_name)
            content = b"".join(seal(_json_or_none(tree).encode("utf-8", "surrogatepass")) + b"\n" for tree in lines)
            for name in ("plans.jsonl", "plans.jsonl.copy"):
                (s / name).write_bytes(content)

        return spoil

    def in_table(name: str, column: str, value: Any) -> Callable[[Path, Path], None]:
        def spoil(s: Path, canary: Path) -> None:
            file = s / "trials" / complete.name / name
            table = pd.read_parquet(file).astype({column: object})
            table[column] = table[column].astype(str)
            table.loc[0, column] = str(_filled(value, canary)).encode("utf-8", "replace").decode()
            table.to_parquet(file, index=False)
            _with_checksums(file.parent)

        return spoil

    def numbers_in_table(name: str, column: str, value: float) -> Callable[[Path, Path], None]:
        def spoil(s: Path, canary: Path) -> None:
            file = s / "trials" / complete.name / name
            table = pd.read_parquet(file)
            table[column] = value
            table.to_parquet(file, index=False)
            _with_checksums(file.parent)

        return spoil

    plans = _plans(study)
    files = [f"trials/{complete.name}/{n}" for n in ("config.json", "record.json", "plan.json")]
    driver = {
        "host": "h", "process": 1, "began": 0.0, "updated": 0.0, "total": 1,
        "running": {"k": {"key": "k", "name": "n", "epochs": 2}}, "nodes": [{"address": "a", "cpus": 1, "gpus": 0}],
        "incidents": ["i"],
    }  # fmt: skip
    for number in range(count):
        value = choose.choice(values)
        as_name = choose.random() < 0.3
        kind = choose.randrange(7)
        said = repr(value)[:40]
        if kind == 0:
            way = choose.choice(list(_places(_manifest(study))))
            yield Hostile(f"{number} study.yaml {way}: {said}", in_manifest(way, value, as_name))
        elif kind in (1, 2):
            name = choose.choice([*files, "measurements.json"])
            way = choose.choice(list(_places(json.loads((study / name).read_text()))))
            yield Hostile(f"{number} {name} {way}: {said}", in_json(name, way, value, as_name))
        elif kind == 3:
            line = choose.randrange(len(plans))
            way = choose.choice(list(_places(plans[line])))
            yield Hostile(f"{number} plans.jsonl line {line + 1} {way}: {said}", in_plans(line, way, value, as_name))
        elif kind == 4:
            name = choose.choice(["epochs.parquet", "images.parquet"])
            column = choose.choice(list(pd.read_parquet(complete / name).columns))
            if isinstance(value, int | float) and abs(value) < 2**62:
                yield Hostile(f"{number} {name} {column}: {said}", numbers_in_table(name, column, value))
            else:
                yield Hostile(f"{number} {name} {column}: {said}", in_table(name, column, value))
        elif kind == 5:
            tree = json.loads(json.dumps(driver))
            way = choose.choice(list(_places(tree)))

            def put_driver(s: Path, canary: Path, tree: Any = tree, way: Any = way, value: Any = value) -> None:
                file = s / "ray" / "drivers" / f"{socket.gethostname()}-1.json"
                file.parent.mkdir(parents=True, exist_ok=True)
                tree = _put(tree, way, _filled(value, canary), as_name=False)
                file.write_text(_json_or_none(tree))

            yield Hostile(f"{number} driver {way}: {said}", put_driver)
        else:
            path = choose.choice(PATHS)

            def sums(s: Path, canary: Path, path: str = path) -> None:
                folder = s / "trials" / complete.name
                lines = (folder / "SHA256SUMS").read_text()
                name = _filled(path, canary).replace("\n", " ").replace("\x00", "")
                (folder / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n{lines}")

            yield Hostile(f"{number} SHA256SUMS: {path[:40]!r}", sums)


class _Pickled:
    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.target}'",)


def crafted(study: Path) -> Iterator[Hostile]:
    """Those that no list makes: pickles, archives on their way in, storages and folders elsewhere, bombs."""
    trials = sorted((study / "trials").iterdir())
    complete = next(t for t in trials if (t / "model.safetensors").exists()).name

    def pickles(s: Path, canary: Path) -> None:
        bad = pickle.dumps(_Pickled(str(canary / "new")))
        for name in ("model.safetensors", "images.parquet", "epochs.parquet"):
            (s / "trials" / complete / name).write_bytes(bad)
        _with_checksums(s / "trials" / complete)
        (s / "ray" / "checkpoints").mkdir(parents=True, exist_ok=True)
        (s / "ray" / "checkpoints" / f"{complete}.safetensors").write_bytes(bad)

    yield Hostile("pickles for weights, tables and a checkpoint", pickles)

    def arrival(entry: str, content: bytes = b"x", name: str = "") -> Callable[[Path, Path], None]:
        def spoil(s: Path, canary: Path) -> None:
            shutil.rmtree(s / "trials" / complete)
            folder = s / "ray" / "arrivals"
            folder.mkdir(parents=True, exist_ok=True)
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr(_filled(entry, canary) or "x", content)
            (folder / (name or f"{complete}.zip")).write_bytes(packed.getvalue())

        return spoil

    for entry in (*PATHS[:4], "record.json", "samples/../../../../x", "SHA256SUMS"):
        yield Hostile(f"an arrival with {entry[:30]!r}", arrival(entry))
    for name in ("notes.zip", "x.txt", "....zip", "0123456789abc.zip", "zzzzzzzzzzzz.zip"):
        yield Hostile(f"an arrival called {name}", arrival("record.json", name=name))

    def another_trials(s: Path, canary: Path) -> None:
        other = next(t for t in (s / "trials").iterdir() if t.name != complete)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for file in other.rglob("*"):
                if file.is_file():
                    archive.write(file, str(file.relative_to(other)))
        shutil.rmtree(s / "trials" / complete)
        (s / "ray" / "arrivals").mkdir(parents=True, exist_ok=True)
        (s / "ray" / "arrivals" / f"{complete}.zip").write_bytes(packed.getvalue())

    yield Hostile("an arrival that is another trial's", another_trials)

    def fact(name: str, value: str, **more: str) -> Callable[[Path, Path], None]:
        return lambda s, canary: _sealed(s, _manifest(s) | {name: value.replace("CANARY", str(canary))} | more)

    for value in ("CANARY", "file://CANARY", "CANARY/empty", "s3://x?endpoint_override=http://127.0.0.1:9"):
        yield Hostile(f"storage is {value}", fact("storage", value))
        yield Hostile(f"storage is {value}, and it has no id", fact("storage", value, id=""))
    yield Hostile("the data are elsewhere", fact("data_dir", "CANARY"))

    def picture(content: Callable[[], bytes]) -> Callable[[Path, Path], None]:
        def spoil(s: Path, canary: Path) -> None:
            for file in (s / "trials" / complete / "samples").iterdir():
                file.write_bytes(content())
            _with_checksums(s / "trials" / complete)
            from ablate.study.trial_folder import write_checksums

            for folder in (s / "data").iterdir():
                for file in folder.glob("*.png"):
                    file.write_bytes(content())
                (folder / "SHA256SUMS").unlink()
                write_checksums(folder)

        return spoil

    def png(size: tuple[int, int], mode: str = "L") -> bytes:
        from PIL import Image

        file = io.BytesIO()
        Image.new(mode, size).save(file, "PNG")
        return file.getvalue()

    yield Hostile("pictures that are none", picture(lambda: b"\x89PNG\r\n\x1a\n" + b"x" * 50))
    yield Hostile("pictures of another size", picture(lambda: png((7, 5))))
    yield Hostile("pictures in colour", picture(lambda: png((16, 16), "RGBA")))
    yield Hostile("pictures that are huge", picture(lambda: png((20_000, 20_000), "1")))
    yield Hostile("deep JSON", lambda s, c: (s / "measurements.json").write_text("[" * 100_000))
    yield Hostile("a deep journal", lambda s, c: (s / "optuna.journal").write_text("[" * 100_000 + "\n"))
    yield Hostile("deep plans", lambda s, c: [(s / name).write_text("[" * 100_000 + "\n") for name in PLANS] and None)
    yield Hostile("a deep driver", lambda s, c: _driver(s, "[" * 100_000))
    yield Hostile("many drivers", lambda s, c: [_driver(s, "{}", f"h-{n}") for n in range(3000)] and None)


def _driver(study: Path, text: str, name: str = "h-1") -> None:
    file = study / "ray" / "drivers" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


# Trying them ---------------------------------------------------------------------------------------------------------


def commands(study: Path, image: Path) -> list[tuple[tuple[object, ...], float]]:
    """Every command on a study, with the seconds it may take."""
    key = next(t.name for t in sorted((study / "trials").iterdir()) if (t / "model.safetensors").exists())
    other = study.with_name("other")
    return [
        (("status", "study"), 5),
        (("status", "study", "--json"), 5),
        (("status", "study", "--watch"), 5),
        (("verify", "study", "--json"), 5),
        *((("export", "study", "--table", table), 5) for table in ("trials", "epochs", "images")),
        (("pareto", "study", "--json"), 10),
        (("effects", "study"), 10),
        (("claim", "study"), 10),
        (("table", "study", "--format", "latex"), 10),
        (("report", "study", "-o", "report.html"), 20),
        (("compare", "study", other.name), 10),
        (("replay", "study", "--repeats", 2, "--json"), 20),
        (("predict", "study", key, image, "-o", "predicted"), 10),
        (("measure", "study", "--repeats", 5), 90),
        (("verify", "study", "--repair"), 10),
        (("run", "--space", "widths.yaml", "--study", "study", "--seeds", 2), 200),
        (("verify", "study"), 5),
    ]


def try_hostile(sound: Path, hostile: Hostile, without: tuple[str, ...] = ()) -> Case:
    """Spoil a copy of a study, and put it through every command beside a canary."""
    faults: list[str] = []
    ran: list[Ran] = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
        folder, canary = Path(scratch) / "work", Path(scratch) / "canary"
        shutil.copytree(sound, folder / "study", symlinks=True)
        shutil.copytree(sound, folder / "other", symlinks=True)
        for name in ("widths.yaml", "image.png"):
            shutil.copy(sound.parent / name, folder)
        make_canary(canary)
        asked = commands(folder / "study", folder / "image.png")
        hostile.spoil(folder / "study", canary)
        before = picture_of(canary)
        beside = {path.name for path in Path(scratch).iterdir()}
        for arguments, seconds in asked:
            if arguments[0] in without:
                continue
            done = call(*arguments, cwd=folder, seconds=seconds)
            ran.append(done)
            shown = f"ablate {' '.join(done.arguments)}"
            if done.traceback:
                faults.append(f"{shown}: traceback: {done.err[-300:]!r}")
            elif done.code == -9:
                faults.append(f"{shown}: it took over {seconds} s: {done.err[-200:]!r}")
            elif done.code not in (0, 1, 2):
                faults.append(f"{shown}: exit {done.code}: {done.err[-300:]!r}")
            elif done.code == 2 and not done.one_line:
                faults.append(f"{shown}: exit 2 and not one line: {done.err[-300:]!r}")
            if SECRET in done.out + done.err:
                faults.append(f"{shown}: it printed what the canary holds")
            if arguments[0] not in ("export", "table") and any(
                c in done.out + done.err for c in "\x1b\x07\x08\x9b\u202e"
            ):
                faults.append(f"{shown}: it sent control characters")
            if done.peak_mb > 2000:
                faults.append(f"{shown}: it took {done.peak_mb:.0f} MB")
            if picture_of(canary) != before:
                now = picture_of(canary)
                changed = [name for name in {*before, *now} if before.get(name) != now.get(name)]
                faults.append(f"{shown}: it changed the canary: {changed}")
                before = now
            if strange := {path.name for path in Path(scratch).iterdir()} - beside:
                faults.append(f"{shown}: it wrote beside the study: {strange}")
                beside |= strange
        for file in folder.rglob("*"):
            if (
                file.is_file()
                and not file.is_symlink()
                and file.stat().st_nlink == 1
                and SECRET.encode() in file.read_bytes()
            ):
                faults.append(f"{file.relative_to(folder)} holds what the canary holds")
    return Case(hostile.name, tuple(ran), tuple(faults))


def make_sound(folder: Path) -> Path:
    from PIL import Image

    study = make_study(folder)
    Image.new("L", (20, 20), 100).save(folder / "image.png")
    return study


def corpus(study: Path, count: int, seed: int) -> list[Hostile]:
    return [*crafted(study), *entries(study), *contents(study, count, seed)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="of values in files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="0/1", help="k/n: every n-th from the k-th on")
    parser.add_argument("--no-runs", dest="runs", action="store_false", help="without run and measure")
    parser.add_argument("--only", default="", help="those whose name has this")
    asked = parser.parse_args()
    part, parts = map(int, asked.part.split("/"))
    prepare()
    with tempfile.TemporaryDirectory(prefix="sound-") as scratch:
        study = make_sound(Path(scratch))
        codes: Counter[str] = Counter()
        faults, slowest, biggest = 0, 0.0, 0.0
        found = [one for one in corpus(study, asked.count, asked.seed) if asked.only in one.name][part::parts]
        for number, hostile in enumerate(found, 1):
            case = try_hostile(study, hostile, without=() if asked.runs else ("run", "measure"))
            codes.update(f"{ran.arguments[0]} {ran.code}" for ran in case.ran)
            for ran in case.ran:
                if ran.arguments[0] not in ("run", "measure"):
                    slowest = max(slowest, ran.seconds)
                biggest = max(biggest, ran.peak_mb)
            for fault in case.faults:
                faults += 1
                print(f"{case.name}: {fault}", flush=True)
            if number % 10 == 0:
                print(f"… {number} of {len(found)}, {faults} faults", file=sys.stderr, flush=True)
    print(f"{len(found)} hostile studies, {faults} faults; exit codes: {dict(sorted(codes.items()))}")
    print(f"slowest command but run and measure: {slowest:.1f} s; most memory: {biggest:.0f} MB")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
