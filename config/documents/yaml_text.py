"""YAML text into plain values: parses, builds, and explains what is wrong. Called by config.documents.document."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import yaml

from config.documents.parse_result import (
    DETAILED_KEY,
    ENTRY_LEVELS,
    MAX_NESTING,
    ParsedText,
    ParseError,
    too_deep_error,
)
from jobs.problems import KeyPath, make_printable

MAX_ALIASED_VALUES = 200_000
"""Values that all aliases of a file may represent together: a few lines can represent billions."""

_MAX_INTERNED_LENGTH = 24
"""Characters up to which equal texts share one object."""

STAR_HINT = 'put a text that begins with * in quotes, such as "*/10 * * * * *"'

_CORE_CONSTANTS: dict[str, Any] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_BEGINS = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")

_MAX_DIGITS = 1000

_TAG_PREFIX = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    f"{_TAG_PREFIX}int": (int,),
    f"{_TAG_PREFIX}float": (float, int),
    f"{_TAG_PREFIX}bool": (bool,),
    f"{_TAG_PREFIX}null": (type(None),),
}
_TEXT_TAGS = frozenset({"!", f"{_TAG_PREFIX}str"})
_CONTAINER_TAGS = frozenset({None, "!", f"{_TAG_PREFIX}map", f"{_TAG_PREFIX}seq"})


class _OpenContainer:
    """A mapping or list that is being built."""

    __slots__ = ("anchor", "container", "key", "merges", "merging", "size")

    def __init__(self, container: dict[str, Any] | list[Any], anchor: str | None) -> None:
        self.container = container
        self.anchor = anchor
        self.key: str | None = None
        """Of a mapping: the key whose value comes next."""
        self.merging = False
        """Whether that key is a plain `<<`."""
        self.merges: list[dict[str, Any]] = []
        self.size = 1

    @property
    def expects_key(self) -> bool:
        return self.key is None and type(self.container) is dict


class YamlBuilder:
    """Takes events one by one. `value` is complete after the last."""

    def __init__(self, levels_with_lines: int) -> None:
        self.value: Any = None
        self.duplicates: list[KeyPath] = []
        self.lines: dict[KeyPath, list[int]] = defaultdict(list)
        self._levels_with_lines = levels_with_lines
        self._stack: list[_OpenContainer] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._interned: dict[str, str] = {}
        self._aliased_values = 0
        self._document_count = 0

    def handle_event(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._handle_scalar(event)
        elif kind is yaml.MappingStartEvent:
            self._open_container({}, event)
        elif kind is yaml.SequenceStartEvent:
            self._open_container([], event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close_container(event)
        elif kind is yaml.AliasEvent:
            self._handle_alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._document_count += 1
            if self._document_count > 1:
                raise ParseError("holds more than one document", _line_of(event), "remove the --- or split the file")

    def _handle_scalar(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.expects_key:
            self._handle_key(frame, event)
            return
        value = self._resolve_scalar(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._add_value(value, 1, event)

    def _handle_key(self, frame: _OpenContainer, event: Any) -> None:
        """Keys are texts as they are written: `on`, `200` and `true` stay so."""
        key = self._intern(event.value)
        self._check_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (key, 1)
        frame.key = key
        frame.merging = key == "<<" and event.implicit[0]
        if not frame.merging and key in frame.container:
            self.duplicates.append(self._path())
        self._record_line(event)

    def _open_container(self, container: dict[str, Any] | list[Any], event: Any) -> None:
        if len(self._stack) >= MAX_NESTING:
            raise too_deep_error(_line_of(event))
        if event.tag not in _CONTAINER_TAGS:
            raise _unknown_tag(event)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.expects_key:
            raise ParseError("a key is a text, not a mapping or a list", _line_of(event), "put {{ }} texts in quotes")
        if frame is None or type(frame.container) is list:
            self._record_line(event)
        self._stack.append(_OpenContainer(container, event.anchor))

    def _close_container(self, event: Any) -> None:
        frame = self._stack.pop()
        value = frame.container
        if frame.merges and isinstance(value, dict):
            merged: dict[str, Any] = {}
            for one in reversed(frame.merges):
                merged |= one
            value = merged | value
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (value, frame.size)
        self._add_value(value, frame.size, event, is_line_recorded=True)

    def _handle_alias(self, event: Any) -> None:
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            name = make_printable(str(event.anchor))
            raise ParseError(
                f"is not valid YAML: *{name} names no anchor &{name} that ends before it", _line_of(event), STAR_HINT
            )
        value, size = anchored
        self._aliased_values += size
        if self._aliased_values > MAX_ALIASED_VALUES:
            raise ParseError(
                f"its aliases represent more than {MAX_ALIASED_VALUES} values", _line_of(event), "write them out"
            )
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.expects_key:
            raise ParseError("an alias cannot be a key", _line_of(event))
        self._add_value(value, size, event)

    def _add_value(self, value: Any, size: int, event: Any, *, is_line_recorded: bool = False) -> None:
        """Put a whole value where it belongs."""
        if not self._stack:
            self.value = value
            return
        frame = self._stack[-1]
        frame.size += size
        container = frame.container
        if isinstance(container, list):
            if not is_line_recorded:
                self._record_line(event)
            container.append(value)
        elif frame.merging:
            frame.merges += _merged_mappings(value, event)
        else:
            container[str(frame.key)] = value
        frame.key = None

    def _resolve_scalar(self, event: Any) -> Any:
        text = self._intern(event.value)
        tag = event.tag
        if tag is None:
            return _core_schema_value(text, event) if event.implicit[0] else text
        if tag in _TEXT_TAGS:
            return text
        self._check_tag(event)
        value = _core_schema_value(text, event)
        if type(value) not in _SCALAR_TAGS[tag]:
            raise ParseError(
                f"the value does not fit its tag {make_printable(tag.replace(_TAG_PREFIX, '!!'))}", _line_of(event)
            )
        return value

    def _intern(self, text: str) -> str:
        """Return one object for equal short texts: files repeat them thousands of times."""
        return self._interned.setdefault(text, text) if len(text) <= _MAX_INTERNED_LENGTH else text

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag not in _TEXT_TAGS and event.tag not in _SCALAR_TAGS:
            raise _unknown_tag(event)

    def _path(self) -> KeyPath:
        return tuple(len(frame.container) if type(frame.container) is list else str(frame.key) for frame in self._stack)

    def _record_line(self, event: Any) -> None:
        depth = len(self._stack) - self._levels_with_lines
        if depth <= 0 or (depth == 1 and self._stack[0].key == DETAILED_KEY):
            self.lines[self._path()].append(_line_of(event))


def _merged_mappings(value: Any, event: Any) -> list[dict[str, Any]]:
    """What a `<<` takes in."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in values):
        raise ParseError("<< takes a mapping, or a list of mappings", _line_of(event))
    return values


def _line_of(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _unknown_tag(event: Any) -> ParseError:
    tag = make_printable(str(event.tag).replace(_TAG_PREFIX, "!!"))
    return ParseError(f"the tag {tag} is not known here", _line_of(event), "remove it, or put a text with ! in quotes")


def _core_schema_value(text: str, event: Any) -> Any:
    """A plain scalar's value by YAML 1.2's core schema (without .inf and .nan, which are texts here)."""
    if text in _CORE_CONSTANTS:
        return _CORE_CONSTANTS[text]
    if text[0] not in _NUMBER_BEGINS:
        return text
    if _INTEGER.fullmatch(text):
        return _parse_integer(text, 10, event)
    if _OCTAL_OR_HEX.fullmatch(text):
        return _parse_integer(text, 0, event)
    return float(text) if _FLOAT.fullmatch(text) else text


def _parse_integer(text: str, base: int, event: Any) -> int:
    # Python refuses thousands of decimal digits, but not of hexadecimal ones, and then cannot write the number.
    if len(text) > _MAX_DIGITS:
        raise ParseError("a number has thousands of digits", _line_of(event), "put a long text of digits in quotes")
    return int(text, base)


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
    unquoted = _UNQUOTED_VALUE.search(row) if len(row) <= _MAX_ROW_LENGTH else None
    if unquoted is None:
        return None
    value = re.split(r"[ ]#", unquoted["value"], maxsplit=1)[0]
    if "{" in row[: unquoted.start("value")] or "[" in row[: unquoted.start("value")]:
        value = re.split(r"[,}\]]", value, maxsplit=1)[0]
    value = value.strip()
    if _ALIAS.fullmatch(value) or '"' in value or "\\" in value:
        return None
    key = f"{unquoted['key']} " if unquoted["key"] else ""
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
