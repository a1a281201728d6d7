"""The command line as a whole: help, version, exit codes, pipes, how quickly it starts."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import tomllib

import pytest

from scheduler.version import VERSION
from tests.parts.proc import ROOT, clean_environment, run
from tests.scheduler.cli.command import invoke

COMMANDS = (
    "serve",
    "validate",
    "jobs",
    "run",
    "next",
    "history",
    "pause",
    "resume",
    "cancel",
    "backfill",
    "dead-letters",
)


def test_the_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION
    assert invoke("--version").stdout == f"scheduler {VERSION}\n"


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(option: str) -> None:
    said = invoke(option)

    assert (said.code, said.stderr) == (0, "")
    assert {line.split()[0] for line in said.lines if line.startswith("  ")} >= set(COMMANDS)
    assert "Exit codes" in said.stdout


def test_no_command_at_all_is_answered_with_help_and_2() -> None:
    said = invoke()

    assert (said.code, said.stdout) == (2, "")
    assert "Commands:" in said.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_has_examples(command: str) -> None:
    said = invoke(command, "--help")

    assert said.code == 0
    assert f"Examples:\n    {command}" in said.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [(("nxt",), "Did you mean 'next'?"), (("run",), "Missing argument"), (("jobs", "x"), "unexpected")],
)
def test_words_that_are_not_understood_end_with_2(words: tuple[str, ...], told: str) -> None:
    said = invoke(*words)

    assert (said.code, said.stdout) == (2, "")
    assert told in said.stderr


async def test_the_module_runs_as_a_program() -> None:
    finished = await run("next", "*/5 * * * *", "--count", "1", "--from", "2024-01-01T00:00:00Z")

    assert (finished.code, finished.stdout, finished.stderr) == (0, "2024-01-01T00:05:00Z\n", "")


async def test_a_bad_expression_ends_the_program_with_2() -> None:
    finished = await run("next", "61 * * * * *")

    assert (finished.code, finished.stdout) == (2, "")
    assert finished.stderr.count("\n") == 1


def test_starting_imports_nothing_heavy() -> None:
    heavy = ("asyncio", "config", "fastapi", "httpx", "jobs.definition", "pydantic", "rich", "scheduler.app", "sqlite3")
    code = f"import sys, scheduler.cli.main; print([name for name in {heavy} if name in sys.modules])"

    # Without the guard of other child processes, which imports asyncio itself.
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "[]\n"


def test_next_starts_quickly() -> None:
    took = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(_command("next", "* * * * *"), env=clean_environment(), check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - started)

    assert min(took) < 2.0


@pytest.mark.parametrize("count", ["1", "100000"])
def test_a_reader_that_goes_away_ends_it_silently(count: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    process = subprocess.run(
        _command("next", "* * * * * *", "--count", count),
        env=clean_environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)

    assert process.stderr == b""
    assert process.returncode in (0, 1)


async def test_a_character_that_the_output_cannot_show_is_escaped() -> None:
    finished = await run("next", "* * * * é", env={"PYTHONIOENCODING": "ascii"})

    assert finished.code == 2
    assert "\\xe9" in finished.stderr


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "scheduler", *words]


@pytest.mark.parametrize("columns", [60, 79, 80, 120])
@pytest.mark.parametrize("words", [(), ("history",), ("backfill",), ("dead-letters", "replay")])
def test_help_breaks_no_word_whatever_the_terminals_width(columns: int, words: tuple[str, ...]) -> None:
    """In a process of its own, on a terminal: the width is looked at as the program starts."""
    wide, narrow = (_help_on_terminal(words, width) for width in (200, columns))

    assert "…" not in narrow
    assert _words(narrow) <= _words(wide)
    if words:  # the list of commands has their sentences cut, between words
        assert _words(narrow) == _words(wide)
    examples = [line.strip() for line in wide.splitlines()]
    assert all(len(line.rstrip()) <= columns or line.strip() in examples for line in narrow.splitlines())


def _words(text: str) -> set[str]:
    """Without boxes and the types of options, which a wide terminal shows alone."""
    return set(re.findall(r"[\w./@-]*\w", re.sub(r"<[a-z ]+>", "", text)))


def _help_on_terminal(words: tuple[str, ...], columns: int) -> str:
    ours, theirs = os.openpty()
    environment = {**clean_environment(), "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(_command(*words, "--help"), env=environment, stdout=theirs, stderr=theirs):
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while piece := os.read(ours, 65536):
                text += piece
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text.decode())
