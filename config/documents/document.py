"""Reads one YAML or JSON file into plain values, and finds the line of a key when something is wrong with it.

Whatever a file contains, only `UnreadableFile` is raised: size, depth, aliases and encoding are bounded and checked
before a value is built. The text of one definition that a person edits is read here, too; and what a message offers as
YAML is written as JSON for a problem in a JSON file: `write "retry": {"attempts": 3}`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from config.documents import json_text, yaml_text
from config.documents.parse_result import ParseError
from jobs.checks.errors import FileTooLarge, NotRegularFile
from jobs.checks.files import read_regular_file
from jobs.problems import Finding, Problem, dotted_path
from jobs.problems import KeyPath as KeyPath

_EXAMPLE = re.compile(r"(?P<word>\bwrite |\(or )(?:(?P<key>[a-z_]+): )?(?P<form>[\[{\"'].*)", re.DOTALL)
_CLOSING_SIGNS = {"{": "}", "[": "]", '"': '"', "'": "'"}


def rewrite_examples_as_json(text: str) -> str:
    """The message or hint with each form that it offers as JSON; unchanged without one that YAML can read."""
    example = _EXAMPLE.search(text)
    if example is None:
        return text
    form = example["form"]
    closing = _CLOSING_SIGNS[form[0]]
    ends = [place + 1 for place, sign in enumerate(form) if sign == closing and place]
    for end in ends if form[0] in "\"'" else reversed(ends):
        value = _parse_example(form[:end])
        if value is not None:
            key = f"{json.dumps(example['key'])}: " if example["key"] else ""
            rest = form[end:].removeprefix(" (in quotes)")
            written = f"{example['word']}{key}{json.dumps(value, ensure_ascii=False)}"
            return f"{text[: example.start()]}{written}{rewrite_examples_as_json(rest)}"
    return text


def _parse_example(form: str) -> Any:
    try:
        return yaml_text.parse_yaml(form).value
    except ParseError:
        return None


MAX_FILE_BYTES = 20 * 1024 * 1024
"""Bytes of about 40,000 jobs; a larger file is not a job file."""


_MAX_REPORTED_DUPLICATES = 100
"""Reported duplicate keys: a file can have a hundred thousand of them."""


class UnreadableFile(Exception):
    """A file without a readable value; `problem` has the reason. `column` counts from 1, where it is known."""

    def __init__(self, problem: Problem, column: int | None = None) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.column = column


@dataclass(frozen=True)
class Document:
    """One file's value: mappings (keys are always texts), lists, texts, numbers, true, false and None."""

    file: str
    """Its displayed name."""
    value: Any
    duplicates: tuple[KeyPath, ...] = ()
    """Duplicate keys of a mapping."""
    entry_lines: Mapping[KeyPath, list[int]] = field(default_factory=dict, repr=False)
    text: str = field(default="", repr=False)
    is_json: bool = False

    def line_of(self, path: KeyPath) -> int:
        """Return the line (from 1) of the key, or of the nearest mapping around it in the file."""
        return _nearest_line(self._lines, path)

    def entry_line_of(self, path: KeyPath) -> int:
        """Return the line of a key of the two outermost levels (below DETAILED_KEY three) without reading the text."""
        return _nearest_line(self.entry_lines, path)

    def problem(self, finding: Finding) -> Problem:
        if self.is_json:
            message, hint = rewrite_examples_as_json(finding.message), rewrite_examples_as_json(finding.hint)
            finding = Finding(finding.path, message, hint)
        return finding.to_problem(file=self.file, line=self.line_of(finding.path))

    def duplicate_problems(self) -> list[Problem]:
        """Return a problem for each duplicate key, with both lines; at most a hundred."""
        problems: list[Problem] = []
        for path in dict.fromkeys(self.duplicates):
            first, *others = self._lines.get(path, [None])
            for line in others[: _MAX_REPORTED_DUPLICATES - len(problems)]:
                finding = Finding(path, f"is a duplicate: first in line {first}", "keep one of them")
                problems.append(finding.to_problem(file=self.file, line=line))
        return problems

    @cached_property
    def _lines(self) -> Mapping[KeyPath, list[int]]:
        # The text is read again: only a file with problems pays for line numbers.
        return json_text.find_json_lines(self.text) if self.is_json else yaml_text.find_yaml_lines(self.text)


def _nearest_line(lines: Mapping[KeyPath, list[int]], path: KeyPath) -> int:
    return next((lines[path[:end]][0] for end in range(len(path), -1, -1) if path[:end] in lines), 1)


def read_file(path: Path, shown: str) -> bytes:
    """A file's content. Raises Unreadable."""
    try:
        content, _ = read_regular_file(path, MAX_FILE_BYTES)
    except NotRegularFile:
        raise UnreadableFile(Problem("", "is not a file", "remove it, or rename it", shown)) from None
    except FileTooLarge:
        hint = "split it into several files"
        raise UnreadableFile(Problem("", f"is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB", hint, shown)) from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UnreadableFile(Problem("", f"cannot be read: {reason}", file=shown)) from None
    assert content is not None, "no signature is known"
    return content


def parse_document(content: bytes, shown: str, *, substitutions: Mapping[str, str] | None = None) -> Document:
    """Parse what `read_file` gave; JSON if the name ends in .json, else YAML. Raises Unreadable.

    `substitutions`: texts to put in place of `${NAME}` before anything is parsed.
    """
    is_json = shown.lower().endswith(".json")
    try:
        text = _decode(content)
        for name, value in (substitutions or {}).items():
            text = text.replace(f"${{{name}}}", value)
        parsed = json_text.parse_json(text) if is_json else yaml_text.parse_yaml(text)
    except ParseError as error:
        raise UnreadableFile(Problem("", error.message, error.hint, shown, error.line), error.column) from None
    return Document(shown, parsed.value, tuple(parsed.duplicates), parsed.entry_lines, text, is_json)


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ParseError("is not UTF-8 text", line, "save the file in the encoding UTF-8") from None
    if (at := text.find("\0")) >= 0:
        raise ParseError("holds a NUL byte: it is not a text file", text.count("\n", 0, at) + 1)
    return text


_NAME = "definition.yaml"


class InvalidYaml(ValueError):
    """A text is not YAML that the scheduler accepts. The message has the reason; `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse_definition_yaml(text: bytes) -> Any:
    """Parse as a job file is parsed: values that JSON has, no duplicate keys. Raises InvalidYaml."""
    try:
        document = parse_document(text, _NAME)
    except UnreadableFile as error:
        problem = error.problem
        hint = f"; {problem.hint}" if problem.hint else ""
        raise InvalidYaml(f"{problem.message}{hint}", problem.line) from None
    for duplicate in document.duplicate_problems():
        raise InvalidYaml(f"{duplicate.key} {duplicate.message}", duplicate.line)
    for path in _find_unusable_numbers(document.value):
        raise InvalidYaml(f"{dotted_path(*path)} is not a number that JSON has", document.line_of(path))
    return document.value


def _find_unusable_numbers(value: Any, path: KeyPath = ()) -> Iterable[KeyPath]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _find_unusable_numbers(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _find_unusable_numbers(one, (*path, number))
