"""What leaves a command: text as it was written, on any terminal and into any pipe; files that replace nothing else."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ABLATE
from rich.cells import cell_len
from rich.live import Live
from rich.text import Text

from ablate.errors import Halted, InputError
from ablate.progress import counted
from ablate.runners.cli import main as cli
from ablate.runners.cli import output

MARKUP = "Is [unet] worse than [b]old[/b] on :smile: [/or the groups/] or [link=x]1.5[/link]?"
HOSTILE = "a\x1b[31mred\x07\b\r\x9b2Jb\u202ec\u2028d\x7fe"
SHOWN = "a␛[31mred␇␈␍\N{REPLACEMENT CHARACTER}2Jb\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}d␡e"


def raw_controls(text: str) -> list[str]:
    """The characters of `text` that act on a terminal, without rich's own codes for colours."""
    own = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", own)


def on_terminal(*arguments: str | bytes, **variables: str) -> tuple[int, str]:
    """The exit code of a command whose output is a terminal, and what the terminal was sent."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env={**os.environ, **variables}
    )
    os.close(follower)
    sent = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux's way to say that nobody writes there any more
            break
        if not part:
            break
        sent += part
    os.close(leader)
    return process.wait(), sent.decode().replace("\r\n", "\n")


def in_python(code: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, **options)  # type: ignore[call-overload]


# Text ----------------------------------------------------------------------------------------------------------------


def test_what_looks_like_markup_is_printed_as_it_was_written(capsys):
    out = output.console()
    out.print(MARKUP, soft_wrap=True)
    out.print(Text(MARKUP), soft_wrap=True)
    table = output.plain_table(f"[h]{MARKUP[:12]}", "[/x]")
    table.add_row("[red]level", "[/]")
    table.title, table.caption = "[title]", "[/caption]"
    out.print(table)
    output.err_console().print(MARKUP, soft_wrap=True)
    printed, err = capsys.readouterr()
    assert printed.splitlines()[:2] == [MARKUP, MARKUP]
    for text in ("[h]Is [unet] w", "[/x]", "[red]level", "[/]", "[title]", "[/caption]"):
        assert text in printed
    assert err == MARKUP + "\n"


@pytest.mark.parametrize("waits", [output.waiting, lambda text: Live(text, console=output.err_console())])
def test_what_is_shown_while_something_takes_its_time_is_no_markup_either(monkeypatch, waits):
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "200")
    with waits(f"{MARKUP} {HOSTILE}"):
        pass
    assert MARKUP in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "\x1b[31mred" not in stream.getvalue()
    assert SHOWN in stream.getvalue()


def test_who_waits_is_told_how_far_it_is(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "200")
    with output.waiting("reading"):
        for _ in counted("[x] masks", range(2000), 2000):
            pass
        time.sleep(0.3)
    assert "reading: [x] masks, 2,000 of 2,000" in stream.getvalue()
    stream.truncate(0)
    assert list(counted("masks", "ab", 2)) == ["a", "b"]
    assert not stream.getvalue()


def test_progress_takes_no_description_for_markup(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    with output.progress() as bar:
        assert list(bar.track(range(3), description="[/x]")) == [0, 1, 2]
    assert "[/x]" in stream.getvalue()


def test_control_characters_are_shown_and_not_sent(capsys):
    out = output.console()
    out.print(HOSTILE)
    table = output.plain_table(HOSTILE, "next")
    table.add_row(HOSTILE, "to it")
    table.add_row("plain", "to it")
    out.print(table)
    output.say(HOSTILE)
    output.say(HOSTILE, err=True)
    printed, err = capsys.readouterr()
    first, *rows, last = printed.splitlines()
    assert first == last == SHOWN == err.rstrip("\n")
    assert all(row.startswith(SHOWN) for row in rows[:2])
    assert len({cell_len(row.partition("to it")[0]) for row in rows[1:]}) == 1, "the columns are out of line"
    assert not raw_controls(printed + err)


def test_a_text_object_sends_no_control_characters_and_keeps_its_styles(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = output.console()
    out.print(Text.assemble("a\x1b]0;title\x9c", ("b\u202e", "bold"), "c"))
    table = output.plain_table("column")
    table.add_row(Text(f"{'x' * 100}\x1b[2J\x9b{'y' * 100}"))
    out.print(table)
    sent = stream.getvalue()
    assert "a␛]0;title\N{REPLACEMENT CHARACTER}\x1b[1mb\N{REPLACEMENT CHARACTER}\x1b[0mc" in sent
    assert sent.count("x") == sent.count("y") == 100, "a part of the cell was lost"
    assert not raw_controls(sent)


def test_on_a_terminal_names_from_outside_are_shown_and_piped_data_stay_exact(tmp_path):
    content = "a,b\r\nx\x1b[2J\u202e,ü\n"
    code = f"from ablate.runners.cli import output; output.open_streams(); output.data({content.encode()!r})"
    assert in_python(code).stdout == content.encode()
    assert in_python(code, env={**os.environ, "PYTHONIOENCODING": "ascii"}).stdout == content.encode()
    assert on_terminal(sys.executable, "-c", code) == (0, "a,b␍\nx␛[2J\N{REPLACEMENT CHARACTER},ü\n")
    for command in (("status",), ("cost", "--space"), ("plan", "--space"), ("cost", "--model", "unet", "--set")):
        code, sent = on_terminal(ABLATE, *command, "no\x1b[2J\x07 \x9b[unet]\u202e" + "\udcff")
        assert (code, sent.count("\n")) == (2, 1)
        assert "[unet]" in sent
        assert not raw_controls(sent)
    path = tmp_path / "no\x1b[2J\x07 \x9b[unet]\u202e\udcff"
    shown = f"{tmp_path}/no␛[2J␇ \N{REPLACEMENT CHARACTER}[unet]\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    assert f"'{shown}' is not a study" in on_terminal(ABLATE, "status", str(path))[1]


def test_an_encoding_that_lacks_a_character_gets_a_simpler_one_and_never_fails():
    text = f"0.9 ± 0.1 – ≥ × … ✓ ✗ → ² ü 中 \udcff{HOSTILE}"
    code = (
        "from ablate.runners.cli import output\noutput.open_streams()\n"
        f"text = {text!r}\n"
        "out = output.console()\nout.print(text, soft_wrap=True)\noutput.say(text)\noutput.say(text, err=True)\n"
        "table = output.plain_table('…')\ntable.add_row(text)\nout.print(table)\nwith output.waiting('…'): print('•')"
    )
    shown = r"a\x1b[31mred\x07\x08\x0d?2Jb?c?d\x7fe"
    readable = {
        "ascii": f"0.9 +- 0.1 - >= x ... + x -> ^2 \\xfc \\u4e2d ?{shown}",
        "latin-1": f"0.9 ± 0.1 - >= × ... + x -> ² ü \\u4e2d ?{shown}",
        "utf-8": f"0.9 ± 0.1 – ≥ × … ✓ ✗ → ² ü 中 \N{REPLACEMENT CHARACTER}{SHOWN}",
    }
    for encoding, expected in readable.items():
        done = in_python(code, env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode(encoding).splitlines()[:2] == [expected, expected]
        assert done.stderr.decode(encoding) == expected + "\n"


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}])
def test_commands_print_on_an_ascii_terminal(variables, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: sizes\nquestion: Größe ≥ 4 – trägt sie?\ndesign: grid\nbase: {model: {name: unet, stages: 2}}\n"
        "factors: {model.width: [4]}\n",
        encoding="utf-8",
    )
    for command in (("paper",), ("spaces",), ("plan", "--space", str(tmp_path / "mine.yaml"), "--data", "phantom")):
        done = subprocess.run(
            [ABLATE, *command], capture_output=True, check=False, env={**os.environ, "PYTHONUTF8": "0", **variables}
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.isascii()
    assert b"Gr\\xf6\\xdfe >= 4 - tr\\xe4gt sie?" in done.stdout


# Where nothing can be printed any more -------------------------------------------------------------------------------

LONG = """
import sys
from ablate.runners.cli import output
output.open_streams()
out = output.console()
for number in range(20_000):
    out.print(f"line {number}")
    output.say(f"line {number}", err=True)
open(sys.argv[1], "w").write("its work is done")
sys.exit(len(output.close_streams()))
"""


def test_a_reader_that_goes_away_ends_neither_the_work_nor_its_success(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", LONG, str(tmp_path / "done")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"line 0\n"
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert (tmp_path / "done").read_text() == "its work is done"


def test_a_full_disk_behind_the_output_does_not_end_the_work(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", LONG, str(tmp_path / "done")], stdout=full, stderr=full, check=False
        )
    assert done.returncode == len("No space left on device")
    assert (tmp_path / "done").read_text() == "its work is done"


@pytest.mark.parametrize("command", ["--help", "spaces", "spaces --json"])
def test_output_that_cannot_be_written_is_a_line_at_most(command):
    def shell(redirection: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", f"{ABLATE} {command} {redirection}"], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    assert shell(">/dev/full") == (1, "ablate: standard output cannot be written: No space left on device\n")
    assert shell(">&-") == (0, "")
    assert shell("<&- >&- 2>&-") == (0, "")
    assert shell("2>/dev/full >/dev/null") == (0, "")
    assert shell("| true; exit ${PIPESTATUS[0]}") == (0, "")


# How a command ends --------------------------------------------------------------------------------------------------


@pytest.fixture
def ended(monkeypatch, capsys, tmp_path) -> Callable[..., tuple[int, str]]:
    """The exit code and the line of a command that ends with an error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = signal.getsignal(signal.SIGINT)

    def ended(error: BaseException, command: str = "status") -> tuple[int, str]:
        def end(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(cli.ablate, "main", end)
        monkeypatch.setattr("sys.argv", ["ablate", command, "st\udcffudy"])
        with pytest.raises(SystemExit) as end_of_process:
            cli.main()
        signal.signal(signal.SIGINT, before)
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == bool(err)
        return int(end_of_process.value.code or 0), err

    return ended


class _Panic(BaseException):
    """As an extension written in Rust ends."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("cell"), "KeyError: 'cell'"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError: maximum recursion depth exceeded"),
        (MemoryError(), "unforeseen: MemoryError; "),
        (_Panic("panicked\nat line 3"), "_Panic: panicked; "),
        (OSError("no number"), "OSError: no number"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "UnicodeDecodeError: "),
        (ExceptionGroup("two", [ValueError("one")]), "ExceptionGroup: two (1 sub-exception)"),
    ],
)
def test_what_nobody_foresaw_is_one_line_and_its_traceback_a_private_file(ended, tmp_path, error, said):
    code, line = ended(error)
    assert code == 1
    assert line.startswith("ablate: unforeseen: ")
    assert said in line
    assert "; no finished trial is lost; " in line
    (file,) = tmp_path.iterdir()
    assert line.endswith(f"; the traceback is in {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_text(encoding="utf-8")
    assert "ablate status 'st\\udcffudy'" in kept
    assert re.search(r"^torch \d", kept, re.MULTILINE)
    assert "Traceback (most recent call last)" in kept
    assert type(error).__name__ in kept


@pytest.mark.parametrize("command", ["run", "confirm"])
def test_after_what_nobody_foresaw_a_run_goes_on_by_the_same_command(ended, command):
    code, line = ended(RuntimeError("\x1b[31m" + "long " * 1000), command)
    assert code == 1
    assert "every trial that ended is kept, and the same command goes on from there; the traceback is in " in line
    assert len(line) < 500
    assert not raw_controls(line.rstrip("\n"))


def test_a_traceback_that_cannot_be_kept_is_said(ended, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    assert ended(KeyError("x"))[1].endswith("; the traceback could not be kept (No such file or directory)\n")
    assert not list(tmp_path.iterdir())


def test_messages_are_one_short_line_without_control_characters(ended):
    code, line = ended(InputError("first\x1b[2J\nsecond " + "x" * 100_000 + " the end: do this"))
    assert code == 2
    assert line.startswith("ablate: first␛[2J second xxx")
    assert line.endswith("the end: do this\n")
    assert len(line) < 520
    assert ended(Halted("the disk is full")) == (1, "ablate: the disk is full\n")


@pytest.mark.parametrize("code", ["ENAMETOOLONG", "ELOOP", "ENOTDIR"])
def test_a_path_that_cannot_be_is_bad_input(ended, tmp_path, code):
    import errno

    number = getattr(errno, code)
    assert ended(OSError(number, os.strerror(number), "x/y")) == (
        2,
        f"ablate: 'x/y' cannot be used: {os.strerror(number)}\n",
    )
    assert not list(tmp_path.iterdir())


def test_an_interrupt_is_no_error(ended):
    assert ended(KeyboardInterrupt()) == (130, "")


@pytest.mark.parametrize("place", ["a thread that must end", "what is done at exit"])
def test_a_further_ctrl_c_while_the_process_ends_prints_no_traceback(place):
    """One interrupt ends the command; the next comes while the interpreter waits for threads, or cleans up."""
    ends_slowly = {
        "a thread that must end": "threading.Thread(target=lambda: time.sleep(6)).start()",
        "what is done at exit": "atexit.register(lambda: (print('at exit', flush=True), time.sleep(6)))",
    }[place]
    code = f"""
import atexit, os, signal, sys, threading, time
from ablate.runners.cli import main
def interrupted(*_, **__):
    {ends_slowly}
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
main.ablate.main = interrupted
sys.argv = ["ablate", "run"]
own = signal.signal
def installed(*given):
    own(*given)
    print("ends", flush=True)
signal.signal = installed
main.main()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ends\n"
    if "exit" in place:
        assert process.stdout.readline() == b"at exit\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")


# Files ---------------------------------------------------------------------------------------------------------------


def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    victim = tmp_path / "victim.html"
    victim.write_text("mine")
    (tmp_path / "link.html").symlink_to(victim)
    (tmp_path / "dangling.html").symlink_to(tmp_path / "made.html")
    (tmp_path / "directory.html").mkdir()
    os.mkfifo(tmp_path / "pipe.html")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.html"))
        before = {path: path.lstat() for path in tmp_path.iterdir()}
        for name, said in {
            "link": "link",
            "dangling": "link",
            "directory": "directory",
            "pipe": "named pipe",
            "socket": "socket",
        }.items():
            for refused in (lambda path: output.check_target(path, ".html"), lambda path: output.write(path, b"x")):
                with pytest.raises(InputError, match=f"is a {said}, which is not replaced"):
                    refused(tmp_path / f"{name}.html")
        assert {path: path.lstat() for path in tmp_path.iterdir()} == before
    assert victim.read_text() == "mine"
    with pytest.raises(InputError, match="is a device, which is not replaced"):
        output.check_place(Path(os.devnull))


def test_a_file_is_replaced_whole_its_other_names_stay_and_parents_are_made(tmp_path):
    (tmp_path / "front.html").write_text("earlier")
    (tmp_path / "kept.html").hardlink_to(tmp_path / "front.html")
    (tmp_path / "through").symlink_to(tmp_path, target_is_directory=True)
    for path in (tmp_path / "through" / "front.html", tmp_path / "new" / "folder" / "FRONT.HTML"):
        output.check_target(path, ".html")
        output.write(path, b"new")
        assert path.read_bytes() == b"new"
    assert (tmp_path / "kept.html").read_text() == "earlier"
    assert not list(tmp_path.rglob("*.partial"))


def test_a_name_that_can_be_no_file_is_said_before_the_work(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "ring").symlink_to("ring")
    (tmp_path / "dangling").symlink_to("nothing")
    for name, said in {
        "file/x.html": "Not a directory",
        "ring/x.html": "symbolic links",
        "dangling/x.html": "dangling' is not a directory",
        f"{'x' * 300}.html": "File name too long",
        "x.pdf": r"what is written is \.html, so its name must end in that",
        "x": r"\.html",
        "-": r"\.html",
    }.items():
        with pytest.raises(InputError, match=said):
            output.check_target(tmp_path / name, ".html")


def test_a_study_s_own_files_are_not_written_over(tmp_path):
    study = tmp_path / "study"
    (study / "trials" / "0123456789ab").mkdir(parents=True)
    (study / "study.yaml").write_text("x")
    (tmp_path / "through").symlink_to(study / "trials", target_is_directory=True)
    inside = ("study/trials/new.csv", "study/data/x.csv", "study/measurements.json", "study/Measurements.JSON")
    for name in (*inside, "through/x.csv", "through/0123456789ab/x.csv"):
        with pytest.raises(InputError, match="is the study's own"):
            output.check_target(tmp_path / name, ".csv", ".json")
        with pytest.raises(InputError, match="is the study's own"):
            output.write(tmp_path / name, b"x")
    output.write(study / "front.html", b"beside them")
    assert sorted(path.name for path in study.iterdir()) == ["front.html", "study.yaml", "trials"]


@pytest.mark.parametrize(
    "command",
    [
        ("pareto", "STUDY", "-o", "front.pdf"),
        ("pareto", "STUDY", "-o", "front"),
        ("report", "STUDY", "-o", "/dev/stdout"),
        ("compare", "STUDY", "-o", "x.md"),
        ("replay", "STUDY", "-o", "x.png"),
        ("table", "STUDY", "-o", "x.docx"),
        ("table", "STUDY", "--format", "latex", "-o", "x.md"),
        ("export", "STUDY", "--table", "trials", "-o", "x.txt"),
        ("export", "STUDY", "--table", "trials", "--format", "csv", "-o", "x.parquet"),
    ],
)
def test_an_ending_that_is_not_what_will_be_written_is_refused_before_anything_else(command, tmp_path):
    done = subprocess.run([ABLATE, *command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert re.fullmatch(
        r"ablate: -o \S+: what is written is \.\w+( or \.\w+|, .*)?, so its name must end in that\n", done.stderr
    )
    assert not list(tmp_path.iterdir())
