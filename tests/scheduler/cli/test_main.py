"""The command line as a whole: help, version, exit codes, pipes, how quickly it starts."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.version import VERSION
from tests.parts.proc import ROOT, ForkedProgram, clean_environment, run
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

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


def test_the_version_is_that_of_the_sources() -> None:
    assert invoke("--version").stdout == f"scheduler {VERSION}\n"


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(option: str) -> None:
    output = invoke(option)

    assert (output.code, output.stderr) == (0, "")
    assert {line.split()[0] for line in output.lines if line.startswith("  ")} >= set(COMMANDS)
    assert "Exit codes" in output.stdout


def test_no_command_at_all_is_answered_with_help_and_2() -> None:
    output = invoke()

    assert (output.code, output.stdout) == (2, "")
    assert "Commands:" in output.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_has_examples(command: str) -> None:
    output = invoke(command, "--help")

    assert output.code == 0
    assert f"Examples:\n    {command}" in output.stdout


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("nxt",), "Did you mean 'next'?"),
        (("run",), "give job names"),
        (("jobs", "x"), "unexpected"),
        (("export", "jobs"), "Invalid value for 'subject': 'jobs' is not one of 'runs', 'stats'."),
    ],
)
def test_words_that_are_not_understood_end_with_2(words: tuple[str, ...], reported: str) -> None:
    output = invoke(*words)

    assert (output.code, output.stdout) == (2, "")
    assert reported in output.stderr


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


HEAVY = (
    "fastapi",
    "httpx",
    "jinja2",
    "observability.exporters",
    "observability.names",
    "observability.telemetry",
    "pydantic_settings",
    "rich",
    "scheduler.worker.worker",
    "starlette",
    "tenacity",
)
DEFINITIONS = ("jobs.definition.job", "jobs.expectations", "jobs.targets")
STATES_AND_RULES = ("jobs.alerting", "jobs.running.circuit_state", "scheduler.changes", "scheduler.stores.changes")
ROUTES_AND_JUDGEMENTS = ("jobs.incidents", "jobs.judging.process")


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (("next", "* * * * *"), (*HEAVY, *DEFINITIONS, "asyncio")),
        (("history",), (*HEAVY, *DEFINITIONS, *STATES_AND_RULES)),
        (("history", "a"), (*HEAVY, *DEFINITIONS, *STATES_AND_RULES)),
        (("dead-letters", "list"), (*HEAVY, *DEFINITIONS)),
        (("uptime", "a"), (*HEAVY, *DEFINITIONS)),
        (("jobs",), (*HEAVY, "scheduler.features.stored_jobs.models")),
        (("heartbeat", "beat"), HEAVY),
        (("next", "a"), HEAVY),
        (("explain", "a"), HEAVY),
        (("circuits",), HEAVY),
        (("incidents", "list"), HEAVY),
        (("windows", "list"), HEAVY),
        (("validate",), (*HEAVY, *ROUTES_AND_JUDGEMENTS)),
    ],
)
async def test_a_command_imports_only_what_it_uses(
    words: tuple[str, ...], unwanted: tuple[str, ...], job_folder: Path
) -> None:
    beat = {"check": {"kind": "heartbeat", "token": {"secret": "t"}, "period": "24h"}}
    write_jobs(job_folder, a={"schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}}, beat=beat)
    store = f"sqlite:///{job_folder.parent / 'state.db'}"
    environment = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_JOBS": str(job_folder), "SCHEDULER_STORE": store}
    async with ForkedProgram("run", "a", env=environment) as program:  # so that history and uptime find something
        await program.exited()

    finished = await run("-c", IMPORTED, *words, module=None, env=environment)

    assert finished.code == 0, finished
    imported = set(finished.stderr.splitlines()[-1].split())
    # The guard of this process's own children imports asyncio itself.
    assert imported & (set(unwanted) - {"asyncio"}) == set()


IMPORTED = """
import runpy, sys
sys.argv[:1] = ["scheduler"]
try:
    runpy.run_module("scheduler", run_name="__main__", alter_sys=True)
except SystemExit as end:
    print(*sys.modules, file=sys.stderr)
    raise
"""


def test_next_costs_little_more_than_the_libraries_of_every_command() -> None:
    """In CPU time, and as a ratio, which a busy machine changes least."""
    libraries = min(_cpu_seconds([sys.executable, "-c", "import pydantic, typer"]) for _ in range(5))
    command = min(_cpu_seconds(_command("next", "* * * * *")) for _ in range(5))

    assert command < 2.5 * libraries


def _cpu_seconds(command: list[str]) -> float:
    """Of a process with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=clean_environment(), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("count", ["1", "100000"])
def test_a_reader_that_disappears_ends_it_silently(count: str) -> None:
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


@pytest.mark.parametrize("columns", [60, 80, 99, 100])
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
