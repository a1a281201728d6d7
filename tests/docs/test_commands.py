"""Every command of ours in the documents can be given: it is parsed, not run."""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import pytest
import typer.main

from scheduler.cli.main import app
from tests.docs.pages import ROOT, TEXTS, code, typed

ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
DEV, PROGRAM = ("./dev",), ("python", "-m", "scheduler")


def commands(text: str) -> Iterator[tuple[str, ...]]:
    """The words of `./dev NAME ...` and `python -m scheduler ...`, without variables before and pipes behind."""
    for line in (*typed(text), *code(text)):
        words = words_of(line)
        while words and ASSIGNMENT.match(words[0]):
            words = words[1:]
        end = next((at for at, word in enumerate(words) if word in ("|", "&", ">")), len(words))
        if tuple(words[:1]) == DEV or tuple(words[:3]) == PROGRAM:
            yield tuple(words[:end])


def words_of(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []  # a lone quotation mark: no command


EVERY_COMMAND = sorted({command for text in TEXTS.values() for command in commands(text)})


@pytest.fixture(scope="module")
def dev() -> ModuleType:
    """The task runner as a module."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "dont_write_bytecode", True)
        loader = SourceFileLoader("dev", str(ROOT / "dev"))
        spec = importlib.util.spec_from_loader("dev", loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_a_command_of_the_documents_can_be_given(command: tuple[str, ...], dev: ModuleType) -> None:
    if command[:3] == PROGRAM:
        name, arguments = "cli", command[3:]
    else:
        name, arguments = "".join(command[1:2]), command[2:]
    assert name in ("", *dev.COMMANDS)
    if name == "run":
        parse("serve", *arguments)
    elif name == "cli" and arguments not in ((), ("ARGS",)):
        parse(*arguments)
    elif name == "bench" and arguments and arguments[0] != "NAME":
        assert (ROOT / "bench" / f"{arguments[0].replace('-', '_')}.py").exists()
    elif name == "test":
        assert all((ROOT / each).exists() for each in arguments if not each.startswith("--"))


@functools.cache
def command_group() -> Any:
    return typer.main.get_command(app)


def parse(name: str, *arguments: str) -> None:
    """As typer does before it calls a command. Raises its usage error."""
    command_group().commands[name].make_context(name, list(arguments))


def test_commands_are_found() -> None:
    assert {("./dev", "run"), ("./dev", "test"), ("./dev", "cli", "run", "checkout-api")} <= set(EVERY_COMMAND)
    assert (*PROGRAM, "serve") in EVERY_COMMAND
