"""Reads the one program that a command line of a crontab runs. Pure; nothing is executed.

Understood are redirections of output, `sleep N;` and `cd DIR &&` before, `|| true` after, and programs that only start
another one, such as `timeout 30`, `flock -n FILE` and `sh -c`. Any other shell syntax is refused with its reason.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from importers.reading import parse_seconds
from importers.source_tree import NotCarriedOver

_OPERATOR = re.compile(r"[();<>|&]+")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))")
HARMLESS_ENDS = frozenset({"true", ":", "exit", "echo", "logger", "false"})
HARMLESS_STARTS = frozenset({"cd", "export", "set", "umask", ":", "true", "."})
_OUTPUT_READERS = frozenset({"logger", "tee", "cat", "ts", "systemd-cat", "rotatelogs", "multilog"})
MAX_NESTING = 5
MAX_EXPANDED = 10_000
"""Characters of a command with the values of its variables: variables that repeat others would double it each time."""


@dataclass(slots=True)
class ShellCommand:
    """One program with its arguments. `notes`: what else the line does that a job does not need."""

    words: list[str]
    delay: int = 0
    """Seconds that the line sleeps before."""
    timeout: float | None = None
    is_exclusive: bool = False
    """Whether a line that still runs prevents the next one (flock)."""
    notes: list[str] = field(default_factory=list)

    @property
    def program(self) -> str:
        return PurePosixPath(self.words[0]).name if self.words else ""


def parse_command(text: str, variables: Mapping[str, str], depth: int = 0) -> ShellCommand:
    """Return the program of a line. Raises NotCarriedOver: it runs several programs, or cannot be read."""
    if "$(" in text or "`" in text:
        raise NotCarriedOver("it runs another program to make its arguments")
    command = ShellCommand([])
    parts = _split(read_words(text), command)
    words = _choose(parts, command)
    command.words = _expand(words, variables)
    return _unwrap(command, variables, depth)


def read_words(text: str) -> list[str]:
    """Return the words and operators of a line. Raises NotCarriedOver."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise NotCarriedOver(f"the command is not valid shell syntax: {str(error).lower()}") from None


def _split(tokens: list[str], command: ShellCommand) -> list[tuple[str, list[str]]]:
    """Return the simple commands, each with the operator before it, without redirections of output."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if _OPERATOR.fullmatch(token) is None:
            parts[-1][1].append(token)
        elif ">" in token and "<" not in token:
            words = parts[-1][1]
            if words and words[-1] in ("1", "2"):
                words.pop()
            at += 1
            command.notes.append("its output is not stored in a file")
        elif token in ("&&", "||", ";", "|", "&", ";;"):
            parts.append((token, []))
        else:
            raise NotCarriedOver(f"it uses {token!r} of the shell")
    return [part for part in parts if part[1]]


def _choose(parts: list[tuple[str, list[str]]], command: ShellCommand) -> list[str]:
    """Return the words of the one command that matters."""
    while len(parts) > 1 and parts[1][0] in ("&&", ";"):
        first = parts[0][1]
        if first[0] == "sleep" and len(first) == 2 and first[1].isdecimal() and int(first[1]) < 60:
            command.delay += int(first[1])
        elif first[0] not in HARMLESS_STARTS:
            break
        else:
            command.notes.append(f"{first[0]} before it is not needed")
        del parts[0]
    for operator, words in parts[1:]:
        is_ignored = operator in ("||", ";") and words[0] in HARMLESS_ENDS
        if not is_ignored and not (operator == "|" and PurePosixPath(words[0]).name in _OUTPUT_READERS):
            raise NotCarriedOver("it runs several programs")
        command.notes.append(f"{words[0]} after it is not needed")
    if not parts:
        raise NotCarriedOver("it runs nothing")
    return parts[0][1]


def _expand(words: list[str], variables: Mapping[str, str]) -> list[str]:
    """Replace variables whose value is known; others stay, so that they can become secrets.

    Raises NotCarriedOver: the values are longer than MAX_EXPANDED.
    """
    remaining_characters = MAX_EXPANDED

    def replace(match: re.Match[str]) -> str:
        nonlocal remaining_characters
        value = variables.get(match["braced"] or match["bare"], match[0])
        remaining_characters -= len(value)
        if remaining_characters < 0:
            raise NotCarriedOver(f"its variables make it longer than {MAX_EXPANDED} characters")
        return value

    return [_VARIABLE.sub(replace, word) for word in words]


def _unwrap(command: ShellCommand, variables: Mapping[str, str], depth: int) -> ShellCommand:
    known = remove_wrappers(command, variables)
    inner = find_inner_line(command)
    if inner is None or depth >= MAX_NESTING:
        return command
    nested = parse_command(inner, known, depth + 1)
    nested.delay += command.delay
    nested.timeout = nested.timeout or command.timeout
    nested.is_exclusive |= command.is_exclusive
    nested.notes = [*command.notes, *nested.notes]
    return nested


def remove_wrappers(command: ShellCommand, variables: Mapping[str, str]) -> dict[str, str]:
    """Remove programs that only start another one. Return the variables with those of the command itself.

    Raises NotCarriedOver: nothing is left.
    """
    values = dict(variables)
    while command.words:
        assignment = _ASSIGNMENT.fullmatch(command.words[0])
        if assignment is not None:
            values[assignment[1]] = assignment[2]
            command.words = _expand(command.words[1:], values)
            continue
        handler = _WRAPPERS.get(command.program)
        if handler is None:
            return values
        command.words = handler(command, command.words[1:])
    raise NotCarriedOver("it runs nothing")


def find_inner_line(command: ShellCommand) -> str | None:
    """Return the line that a shell runs, as in `sh -c LINE`; None for another program."""
    is_shell = command.program in ("sh", "bash", "dash", "ash", "zsh")
    if not is_shell or len(command.words) < 3 or not re.fullmatch(r"-[a-z]*c", command.words[1]):
        return None
    return command.words[2]


def _skip_options(words: list[str], with_value: str) -> list[str]:
    """Return the words after the options. `with_value`: letters of options whose value is a separate word."""
    while words and words[0].startswith("-") and words[0] != "-":
        takes_value = len(words[0]) == 2 and words[0][1] in with_value
        words = words[2:] if takes_value else words[1:]
    return words


def _unwrap_timeout(command: ShellCommand, words: list[str]) -> list[str]:
    rest = _skip_options(words, "ks")
    seconds = parse_seconds(rest[0] if rest and not rest[0].isdecimal() else f"{rest[0]}s") if rest else None
    if seconds:
        command.timeout = seconds
    return rest[1:]


def _unwrap_flock(command: ShellCommand, words: list[str]) -> list[str]:
    command.is_exclusive = True
    rest = _skip_options(words, "wE")[1:]
    return ["sh", *rest] if rest[:1] == ["-c"] else rest


_WRAPPERS: Mapping[str, Callable[[ShellCommand, list[str]], list[str]]] = {
    "timeout": _unwrap_timeout,
    "flock": _unwrap_flock,
    "nice": lambda _, words: _skip_options(words, "n"),
    "ionice": lambda _, words: _skip_options(words, "cn"),
    "env": lambda _, words: _skip_options(words, "uC"),
    "sudo": lambda _, words: _skip_options(words, "ugh"),
    "nohup": lambda _, words: words,
    "chronic": lambda _, words: _skip_options(words, ""),
    "exec": lambda _, words: words,
    "time": lambda _, words: _skip_options(words, ""),
    "command": lambda _, words: words,
}
