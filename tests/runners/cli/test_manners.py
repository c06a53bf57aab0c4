"""What every command has in common: help that fits and shows examples, quiet and plain output, one line of error."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from in_process import called
from searched_studies import Made, searched_study

from ablate.runners.cli import output
from ablate.runners.cli.main import _COMMANDS, ablate
from ablate.runners.cli.output import console, err_console, note, telling


def of_all(group: click.Group = ablate, *before: str) -> Iterator[tuple[str, ...]]:
    """Every command by the words that call it, those in groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*before, name)
        if isinstance(command, click.Group):
            yield from of_all(command, *before, name)


EVERY = list(of_all())


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    searched_study(tmp_path / "study", Made(2, [0.1, 0.2, 0.3, 0.4]))
    return Path("study")


def command_of(words: tuple[str, ...]) -> click.Command:
    found: click.Command | None = ablate
    for word in words:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    assert found is not None
    return found


# Help ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_fits_eighty_columns_and_shows_how_the_command_is_called(words: tuple[str, ...]) -> None:
    shown = called(*words, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert max(map(len, shown.out.splitlines())) <= 80
    assert re.search(rf"\n  Examples?:\n +ablate {' '.join(words)}( |$)", shown.out, re.MULTILINE)
    assert "\x1b" not in shown.out


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_example_is_a_command_line_that_is_understood(words: tuple[str, ...]) -> None:
    """Options that no command has, or arguments too many or too few, are found without carrying anything out."""
    import shlex

    shown = called(*words, "--help").out
    lines = re.findall(r"^ +ablate (.+)$", shown.split("Example")[1].split("Options:")[0], re.MULTILINE)
    assert lines
    for line in lines:
        given = shlex.split(re.split(r"   +", line)[0])
        found = command_of(words)
        assert given[: len(words)] == list(words)
        if not isinstance(found, click.Group):
            found.make_context("ablate", given[len(words) :])


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_says_what_it_is_and_common_ones_say_the_same(words: tuple[str, ...]) -> None:
    common = {
        "--json": "Print one JSON document and nothing else.",
        "--quiet": "Say nothing but errors and what was asked for.",
        "--no-color": "No colours and no bold text; as does NO_COLOR.",
    }
    for option in command_of(words).params:
        if isinstance(option, click.Option):
            assert option.help, f"{option.opts} has no help"
            for name, said in common.items():
                assert name not in option.opts or option.help == said
            assert option.name != "output" or set(option.opts) == {"-o", "--output"}


def test_without_a_command_help_is_printed() -> None:
    bare, asked = called(), called("--help")
    assert bare == asked
    assert (bare.code, bare.err) == (0, "")
    assert max(map(len, bare.out.splitlines())) <= 80
    assert all(re.search(rf"^  {name} ", bare.out, re.MULTILINE) for name in _COMMANDS)
    for words in EVERY:
        if isinstance(command_of(words), click.Group):
            assert called(*words) == called(*words, "--help")


# What is wrong with a command line -----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_an_option_that_there_is_not_is_one_line(words: tuple[str, ...]) -> None:
    shown = called(*words, "--jsn")
    assert (shown.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert "No such option '--jsn'" in shown.err


def test_a_misspelt_command_is_answered_by_the_nearest() -> None:
    assert called("stauts").err == "ablate: unknown command 'stauts': did you mean 'status'?\n"
    assert called("--no-color", "-q", "reprot", "x").err == "ablate: unknown command 'reprot': did you mean 'report'?\n"


def test_a_missing_argument_says_where_to_look() -> None:
    assert called("status").err == "ablate: Missing argument 'STUDY': `ablate status --help` says what there is\n"
    assert called("data", "check").err.endswith(": `ablate data check --help` says what there is\n")


# Quiet and plain -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [True, False])
def test_quiet_says_what_was_asked_for_and_no_notes(study: Path, before: bool) -> None:
    def export(*options: str) -> tuple[str, ...]:
        return (*options, "export", str(study), "--table", "trials") if before else (
            "export", str(study), *options, "--table", "trials"
        )  # fmt: skip

    loud, quiet = called(*export()), called(*export("--quiet"))
    assert "quick profile" in loud.err
    assert quiet == loud._replace(err="")
    assert called(*export("-q")) == quiet


def test_quiet_still_says_what_is_wrong(study: Path) -> None:
    assert called("-q", "status", "nowhere") == called("status", "nowhere")
    assert called("report", "study", "-q").out == "study/report.html\n"


def test_one_quiet_command_does_not_silence_the_next(study: Path) -> None:
    assert not called("export", "study", "--table", "trials", "-q").err
    assert called("export", "study", "--table", "trials").err


def test_what_is_told_on_the_way_goes_nowhere_and_results_stay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output.MANNER, "quiet", True)
    telling().print("epoch 1")
    err_console().print("waiting")
    note("a note")
    console().print("result")
    assert capsys.readouterr() == ("result\n", "")
    assert not telling().is_terminal, "a live table would wait for a terminal"


def test_plain_output_has_neither_colours_nor_bold_text_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(output, "MANNER", output._Manner())
    console().print("text", style="bold red")
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setattr(output.MANNER, "plain", True)
    console().print("text", style="bold red")
    assert capsys.readouterr().out == "text\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output._Manner().plain


@pytest.mark.parametrize(
    "command",
    [("status",), ("pareto",), ("effects",), ("replay",)],
    ids=lambda command: command[0],
)
def test_piped_output_fits_and_is_plain_whatever_names_hold(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "[red]" + "wide" * 40
    searched_study(tmp_path / name, Made(2, [0.1, 0.2, 0.3, 0.4]), Made(3, [0.1, 0.2, 0.3, 0.5]))
    shown = called(command[0], name, *command[1:])
    assert shown.code == 0, shown.err
    assert "\x1b" not in shown.out + shown.err
    assert not re.search(r" $", shown.out, re.MULTILINE)
    wide = [line for line in shown.out.splitlines() if len(line) > 80 and name not in line]
    assert not wide


def test_json_is_one_document_whatever_else_is_asked(study: Path) -> None:
    for command in ("status", "pareto", "replay"):
        shown = called(command, "study", "--json", "--quiet", "--no-color")
        assert shown.code == 0, shown.err
        assert isinstance(json.loads(shown.out), dict)


def test_every_command_is_a_module_of_its_own() -> None:
    for name in _COMMANDS:
        module = importlib.import_module(f"ablate.runners.cli.{name.replace('-', '_')}")
        assert isinstance(getattr(module, name.replace("-", "_")), click.Command)


def test_the_page_on_the_command_line_lists_the_commands_that_print_json() -> None:
    page = (Path(__file__).parents[3] / "docs" / "command_line.md").read_text()
    listed = set(re.findall(r"`([^`]+)`", re.search(r"prints one document and nothing else: (.*?)\.\n", page, re.S)[1]))
    have = {" ".join(words) for words in EVERY if any("--json" in one.opts for one in command_of(words).params)}
    assert listed == have
