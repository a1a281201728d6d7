"""YAML text into plain values: parses, builds, and explains what is wrong. Called by config.documents."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import yaml

from config.text_errors import DEEPEST, ENTRY_LEVELS, Parsed, TextError, too_deep
from config.yaml_builder import QUOTE_A_STAR, YamlBuilder
from jobs.problems import Path, printable

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str) -> Parsed:
    """The only document's value. Raises TextError."""
    builder = YamlBuilder(ENTRY_LEVELS)
    _feed(builder, text)
    return Parsed(builder.value, builder.duplicates, builder.lines)


def lines(text: str) -> dict[Path, list[int]]:
    """Where each key and list entry stands: lines from 1, several if a key stands twice.

    Of a text that cannot be parsed: what came before the error.
    """
    builder = YamlBuilder(DEEPEST)
    with contextlib.suppress(TextError):
        _feed(builder, text)
    return builder.lines


def _feed(builder: YamlBuilder, text: str) -> None:
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, _offset(text, error)) + 1
        raise TextError("holds a control character: it is not a text file", line) from None
    except yaml.MarkedYAMLError as error:
        raise _explained(error, text) from None


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=_LOADER))


def _offset(text: str, error: yaml.reader.ReaderError) -> int:
    # The C parser counts bytes, the Python one characters; both are near enough for a line unless text is mostly
    # multi-byte, so the bytes are counted back.
    position = int(error.position)
    if error.encoding is None or _LOADER is yaml.SafeLoader:
        return position
    return len(text.encode()[:position].decode(errors="ignore"))


def _explained(error: yaml.MarkedYAMLError, text: str) -> TextError:
    words = " ".join(part for part in (error.context, error.problem) if part)
    rows = text.rstrip().split("\n")
    mark = error.problem_mark or error.context_mark
    line = min(mark.line + 1, len(rows)) if mark is not None else len(rows)
    row = rows[line - 1]
    if "maximum nesting depth" in words:
        return too_deep(line)
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return TextError("is not valid YAML: this line is indented by a tab", line, "indent by blanks")
    if (found := _quoted(row)) is not None:
        sign, quoted = found
        return TextError(f"is not valid YAML: a text that begins with {sign} must be in quotes", line, quoted)
    for part, hint in _HINTS:
        if part in words:
            return TextError(f"is not valid YAML: {printable(words)}", line, hint)
    return TextError(f"is not valid YAML: {printable(words)}", line)


_UNQUOTED = re.compile(r"(?:(?P<key>[\w.-]+:|-)[ ]+|[\[,][ ]*)(?P<value>[*%@`].*|(?<=[: ])\[[A-Z_]+\][^,\]]*[=<>].*)$")
_LONGEST_ROW = 1000
"""Characters: a longer row is not looked through, as that could take long."""
_ALIAS = re.compile(r"\*[\w-]+")


def _quoted(row: str) -> tuple[str, str] | None:
    """The first sign of a text that YAML reads in quotes alone, and the hint `write schedule: "*/5 * * * *"`."""
    found = _UNQUOTED.search(row) if len(row) <= _LONGEST_ROW else None
    if found is None:
        return None
    value = re.split(r"[ ]#", found["value"], maxsplit=1)[0]
    if "{" in row[: found.start("value")] or "[" in row[: found.start("value")]:
        value = re.split(r"[,}\]]", value, maxsplit=1)[0]
    value = value.strip()
    if _ALIAS.fullmatch(value) or '"' in value or "\\" in value:
        return None
    key = f"{found['key']} " if found["key"] else ""
    return value[0], f'write {key}"{printable(value)}"'


_HINTS = (
    ("an alias", QUOTE_A_STAR),
    ("an anchor", "put a text that begins with & in quotes"),
    ("mapping values are not allowed", "put a text that holds ': ' in quotes, and check the indentation"),
    ("could not find expected ':'", "a key is followed by a colon and a blank"),
    ("cannot start any token", "put a text that begins with % @ or ` in quotes; indent by blanks"),
    ("did not find expected key", "check the indentation of this line and the one above"),
    ("did not find expected '-' indicator", "check the indentation of this line and the one above"),
    ("expected ',' or", "a bracket or a comma is missing"),
    ("quoted scalar", "a closing quote is missing"),
    ("<document start>", "something stands outside of the mapping: check brackets and indentation"),
    ("tag", "put a text that begins with ! in quotes"),
)
