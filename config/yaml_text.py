"""YAML text into plain values, built from the parser's events. Called by config.documents.

Own builder instead of yaml.load, for three reasons: scalars are read as in YAML 1.2 (`on`, `yes` and `10:30` are
texts, `010` is ten), nothing recurses or expands without a bound, and it takes a fifth of the time.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import yaml

from config.text_errors import DEEPEST, ENTRY_LEVELS, Parsed, TextError, too_deep
from jobs.problems import Path, printable

MOST_ALIASED = 200_000
"""Values that aliases may stand for in one file, all together: a few lines can name billions."""

_SHORT = 24

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CONSTANTS: dict[str, Any] = {
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

_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    f"{_TAG}int": (int,),
    f"{_TAG}float": (float, int),
    f"{_TAG}bool": (bool,),
    f"{_TAG}null": (type(None),),
}
_TEXT_TAGS = frozenset({"!", f"{_TAG}str"})
_CONTAINER_TAGS = frozenset({None, "!", f"{_TAG}map", f"{_TAG}seq"})


def parse(text: str) -> Parsed:
    """The only document's value. Raises TextError."""
    builder = _Builder(ENTRY_LEVELS)
    _feed(builder, text)
    return Parsed(builder.value, builder.duplicates, builder.lines)


def lines(text: str) -> dict[Path, list[int]]:
    """Where each key and list entry stands: lines from 1, several if a key stands twice.

    Of a text that cannot be parsed: what came before the error.
    """
    builder = _Builder(DEEPEST)
    with contextlib.suppress(TextError):
        _feed(builder, text)
    return builder.lines


def _feed(builder: _Builder, text: str) -> None:
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
    rows = text.split("\n")
    mark = error.problem_mark or error.context_mark
    line = min(mark.line + 1, len(rows)) if mark is not None else len(rows)
    row = rows[line - 1]
    if "maximum nesting depth" in words:
        return too_deep(line)
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return TextError("is not valid YAML: this line is indented by a tab", line, "indent by blanks")
    for part, hint in _HINTS:
        if part in words:
            return TextError(f"is not valid YAML: {printable(words)}", line, hint)
    return TextError(f"is not valid YAML: {printable(words)}", line)


_HINTS = (
    ("an alias", 'put a text that begins with * in quotes, such as "*/10 * * * * *"'),
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


class _Frame:
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
    def wants_key(self) -> bool:
        return self.key is None and type(self.container) is dict


class _Builder:
    """Takes events one by one. `value` is complete after the last."""

    def __init__(self, levels_with_lines: int) -> None:
        self.value: Any = None
        self.duplicates: list[Path] = []
        self.lines: dict[Path, list[int]] = defaultdict(list)
        self._levels_with_lines = levels_with_lines
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._texts: dict[str, str] = {}
        self._aliased = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            self._open({}, event)
        elif kind is yaml.SequenceStartEvent:
            self._open([], event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close(event)
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                raise TextError("holds more than one document", _line(event), "remove the --- or split the file")

    def _scalar(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.wants_key:
            self._take_key(frame, event)
            return
        value = self._resolved(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._place(value, 1, event)

    def _take_key(self, frame: _Frame, event: Any) -> None:
        """Keys are texts as they are written: `on`, `200` and `true` stay so."""
        key = self._one(event.value)
        self._check_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (key, 1)
        frame.key = key
        frame.merging = key == "<<" and event.implicit[0]
        if not frame.merging and key in frame.container:
            self.duplicates.append(self._path())
        self._note(event)

    def _open(self, container: dict[str, Any] | list[Any], event: Any) -> None:
        if len(self._stack) >= DEEPEST:
            raise too_deep(_line(event))
        if event.tag not in _CONTAINER_TAGS:
            raise _bad_tag(event)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.wants_key:
            raise TextError("a key is a text, not a mapping or a list", _line(event), "put {{ }} texts in quotes")
        if frame is None or type(frame.container) is list:
            self._note(event)
        self._stack.append(_Frame(container, event.anchor))

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        value = frame.container
        if frame.merges and isinstance(value, dict):
            merged: dict[str, Any] = {}
            for one in reversed(frame.merges):
                merged |= one
            value = merged | value
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (value, frame.size)
        self._place(value, frame.size, event, noted=True)

    def _alias(self, event: Any) -> None:
        found = self._anchors.get(event.anchor)
        if found is None:
            name = printable(str(event.anchor))
            raise TextError(
                f"is not valid YAML: *{name} names no anchor &{name} that ends before it", _line(event), _HINTS[0][1]
            )
        value, size = found
        self._aliased += size
        if self._aliased > MOST_ALIASED:
            raise TextError(f"its aliases stand for more than {MOST_ALIASED} values", _line(event), "write them out")
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.wants_key:
            raise TextError("an alias cannot be a key", _line(event))
        self._place(value, size, event)

    def _place(self, value: Any, size: int, event: Any, *, noted: bool = False) -> None:
        """Put a whole value where it belongs."""
        if not self._stack:
            self.value = value
            return
        frame = self._stack[-1]
        frame.size += size
        container = frame.container
        if isinstance(container, list):
            if not noted:
                self._note(event)
            container.append(value)
        elif frame.merging:
            frame.merges += _mappings(value, event)
        else:
            container[str(frame.key)] = value
        frame.key = None

    def _resolved(self, event: Any) -> Any:
        text = self._one(event.value)
        tag = event.tag
        if tag is None:
            return _core(text, event) if event.implicit[0] else text
        if tag in _TEXT_TAGS:
            return text
        self._check_tag(event)
        value = _core(text, event)
        if type(value) not in _SCALAR_TAGS[tag]:
            raise TextError(f"the value does not fit its tag {printable(tag.replace(_TAG, '!!'))}", _line(event))
        return value

    def _one(self, text: str) -> str:
        """Equal short texts as one object: files repeat them thousands of times."""
        return self._texts.setdefault(text, text) if len(text) <= _SHORT else text

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag not in _TEXT_TAGS and event.tag not in _SCALAR_TAGS:
            raise _bad_tag(event)

    def _path(self) -> Path:
        return tuple(len(frame.container) if type(frame.container) is list else str(frame.key) for frame in self._stack)

    def _note(self, event: Any) -> None:
        if len(self._stack) <= self._levels_with_lines:
            self.lines[self._path()].append(_line(event))


def _mappings(value: Any, event: Any) -> list[dict[str, Any]]:
    """What a `<<` takes in."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in values):
        raise TextError("<< takes a mapping, or a list of mappings", _line(event))
    return values


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _bad_tag(event: Any) -> TextError:
    tag = printable(str(event.tag).replace(_TAG, "!!"))
    return TextError(f"the tag {tag} is not known here", _line(event), "remove it, or put a text with ! in quotes")


def _core(text: str, event: Any) -> Any:
    """A plain scalar's value by YAML 1.2's core schema (without .inf and .nan, which are texts here)."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_BEGINS:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text, 10, event)
    if _OCTAL_OR_HEX.fullmatch(text):
        return _integer(text, 0, event)
    return float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str, base: int, event: Any) -> int:
    try:
        return int(text, base)
    except ValueError:  # Python refuses thousands of digits
        raise TextError(
            "a number has thousands of digits", _line(event), "put a long text of digits in quotes"
        ) from None
