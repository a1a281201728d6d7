"""YAML text into plain values: parses, builds, and explains what is wrong. Called by config.documents.document."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import yaml

from config.documents.parse_result import ENTRY_LEVELS, MAX_NESTING, ParsedText, ParseError, too_deep_error
from config.documents.yaml_builder import STAR_HINT, YamlBuilder
from jobs.problems import KeyPath, make_printable

_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str) -> ParsedText:
    """The only document's value. Raises ParseError."""
    builder = YamlBuilder(ENTRY_LEVELS)
    _build(builder, text)
    return ParsedText(builder.value, builder.duplicates, builder.lines)


def find_yaml_lines(text: str) -> dict[KeyPath, list[int]]:
    """Return the lines of each key and list entry, from 1; several for a duplicate key.

    For an invalid text: those before the error.
    """
    builder = YamlBuilder(MAX_NESTING)
    with contextlib.suppress(ParseError):
        _build(builder, text)
    return builder.lines


def _build(builder: YamlBuilder, text: str) -> None:
    try:
        for event in _parse_events(text):
            builder.handle_event(event)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, _error_offset(text, error)) + 1
        raise ParseError("holds a control character: it is not a text file", line) from None
    except yaml.MarkedYAMLError as error:
        raise _explain(error, text) from None


def _parse_events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=_YAML_LOADER))


def _error_offset(text: str, error: yaml.reader.ReaderError) -> int:
    # The C parser counts bytes, the Python one characters; both are near enough for a line unless text is mostly
    # multi-byte, so the bytes are counted back.
    position = int(error.position)
    if error.encoding is None or _YAML_LOADER is yaml.SafeLoader:
        return position
    return len(text.encode()[:position].decode(errors="ignore"))


def _explain(error: yaml.MarkedYAMLError, text: str) -> ParseError:
    words = " ".join(part for part in (error.context, error.problem) if part)
    rows = text.rstrip().split("\n")
    mark = error.problem_mark or error.context_mark
    line = min(mark.line + 1, len(rows)) if mark is not None else len(rows)
    row = rows[line - 1]
    column = mark.column + 1 if mark is not None and mark.line < len(rows) else len(row) + 1
    if "maximum nesting depth" in words:
        return too_deep_error(line)
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return ParseError("is not valid YAML: this line is indented by a tab", line, "indent by blanks", column)
    if (found := _quoting_hint(row)) is not None:
        sign, quoted = found
        return ParseError(f"is not valid YAML: a text that begins with {sign} must be in quotes", line, quoted, column)
    for part, hint in _PARSER_HINTS:
        if part in words:
            return ParseError(f"is not valid YAML: {make_printable(words)}", line, hint, column)
    return ParseError(f"is not valid YAML: {make_printable(words)}", line, column=column)


_UNQUOTED_VALUE = re.compile(
    r"(?:(?P<key>[\w.-]+:|-)[ ]+|[\[,][ ]*)(?P<value>[*%@`].*|(?<=[: ])\[[A-Z_]+\][^,\]]*[=<>].*)$"
)
_MAX_ROW_LENGTH = 1000
"""Characters: a longer row is not looked through, as that could take long."""
_ALIAS = re.compile(r"\*[\w-]+")


def _quoting_hint(row: str) -> tuple[str, str] | None:
    """The first sign of a text that YAML reads in quotes alone, and the hint `write schedule: "*/5 * * * *"`."""
    found = _UNQUOTED_VALUE.search(row) if len(row) <= _MAX_ROW_LENGTH else None
    if found is None:
        return None
    value = re.split(r"[ ]#", found["value"], maxsplit=1)[0]
    if "{" in row[: found.start("value")] or "[" in row[: found.start("value")]:
        value = re.split(r"[,}\]]", value, maxsplit=1)[0]
    value = value.strip()
    if _ALIAS.fullmatch(value) or '"' in value or "\\" in value:
        return None
    key = f"{found['key']} " if found["key"] else ""
    return value[0], f'write {key}"{make_printable(value)}"'


_PARSER_HINTS = (
    ("an alias", STAR_HINT),
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
