"""Builds plain values from the YAML parser's events. Called by config.yaml_text.

Own builder instead of yaml.load, for three reasons: scalars are read as in YAML 1.2 (`on`, `yes` and `10:30` are
texts, `010` is ten), nothing recurses or expands without a bound, and it takes a fifth of the time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import yaml

from config.text_errors import DEEPEST, TextError, too_deep
from jobs.problems import Path, printable

MOST_ALIASED = 200_000
"""Values that aliases may stand for in one file, all together: a few lines can name billions."""

_SHORT = 24
"""Characters up to which equal texts are kept as one object."""

QUOTE_A_STAR = 'put a text that begins with * in quotes, such as "*/10 * * * * *"'

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

_MOST_DIGITS = 1000

_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    f"{_TAG}int": (int,),
    f"{_TAG}float": (float, int),
    f"{_TAG}bool": (bool,),
    f"{_TAG}null": (type(None),),
}
_TEXT_TAGS = frozenset({"!", f"{_TAG}str"})
_CONTAINER_TAGS = frozenset({None, "!", f"{_TAG}map", f"{_TAG}seq"})


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


class YamlBuilder:
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
                f"is not valid YAML: *{name} names no anchor &{name} that ends before it", _line(event), QUOTE_A_STAR
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
    # Python refuses thousands of decimal digits, but not of hexadecimal ones, and then cannot write the number.
    if len(text) > _MOST_DIGITS:
        raise TextError("a number has thousands of digits", _line(event), "put a long text of digits in quotes")
    return int(text, base)
