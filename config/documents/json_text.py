"""JSON text into plain values, strictly (RFC 8259), and the lines of its keys. Called by config.documents.document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from config.documents.parse_result import (
    MAX_NESTING,
    ParsedText,
    ParseError,
    depth_exceeds,
    entry_levels_at,
    too_deep_error,
)
from jobs.problems import KeyPath


class _DuplicateKey(Exception):
    """A key is a duplicate; reading the text again finds its lines."""


def parse_json(text: str) -> ParsedText:
    """The value. Raises ParseError."""
    try:
        try:
            value = json.loads(text, object_pairs_hook=_unique_object, parse_constant=_reject_constant)
            duplicates: list[KeyPath] = []
        except _DuplicateKey:
            value = json.loads(text, parse_constant=_reject_constant)
            duplicates = [path for path, found in find_json_lines(text).items() if len(found) > 1]
    except json.JSONDecodeError as error:
        raise _explain(error) from None
    except RecursionError:
        raise too_deep_error(_find_too_deep_line(text)) from None
    except _NotJsonValue as error:
        hint = "use a number, or a text in double quotes"
        raise ParseError(
            f"is not valid JSON: {error} is not a JSON value", _find_line(text, str(error)), hint
        ) from None
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise ParseError("a number has thousands of digits", _find_line(text, ""), "write it as a text") from None
    if depth_exceeds(value, MAX_NESTING):
        raise too_deep_error(_find_too_deep_line(text))
    if _SURROGATE_ESCAPE.search(text) and not _is_encodable(value):
        hint = "escape the character as two of them, or write the character itself"
        raise ParseError("a text has half of a surrogate pair", _find_half_pair(text), hint)
    return ParsedText(value, duplicates, _LineScanner(text, entry_levels_at).scan())


_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def _is_encodable(value: Any) -> bool:
    """Return whether each text is UTF-8, which has no half of a surrogate pair; JSON can escape one."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _find_half_pair(text: str) -> int | None:
    """Return the line of the first text that is not encodable."""
    return next(
        (line for token, line in _tokens(text) if token[0] == '"' and not _is_encodable(_decode_key(token))), None
    )


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKey
    return value


class _NotJsonValue(Exception):
    """NaN or Infinity, which Python reads and JSON does not know."""


def _reject_constant(name: str) -> Any:
    raise _NotJsonValue(name)


_MESSAGES = (
    (
        "property name",
        "a key in double quotes is expected here",
        "single quotes, comments and a comma before } are not allowed",
    ),
    ("',' delimiter", "a comma or a closing bracket is missing here", ""),
    ("':' delimiter", "a colon is missing after this key", ""),
    ("trailing comma", "a comma stands before a closing bracket", "remove it"),
    ("Expecting value", "a value is expected here", "texts stand in double quotes; true, false and null in lower case"),
    ("Extra data", "something follows after the end of the value", "one file holds one value"),
    ("Unterminated string", "a text is not closed", "close it with a double quote"),
    ("Invalid control character", "a line break or control character stands inside a text", "write it as \\n"),
    ("escape", "a backslash inside a text begins no known escape", "write a backslash twice"),
)


def _explain(error: json.JSONDecodeError) -> ParseError:
    for part, sentence, hint in _MESSAGES:
        if part in error.msg:
            return ParseError(f"is not valid JSON: {sentence} (column {error.colno})", error.lineno, hint, error.colno)
    return ParseError(f"is not valid JSON: {error.msg.lower()} (column {error.colno})", error.lineno, "", error.colno)


class _LineScanner:
    """Finds the lines of keys and list entries; the json module skips levels deeper than `levels_at` a path."""

    def __init__(self, text: str, levels_at: Callable[[KeyPath], int]) -> None:
        self._text = text
        self._levels_at = levels_at
        self._decode = json.JSONDecoder().raw_decode
        self._counted_until = 0
        self._line = 1
        self._lines: dict[KeyPath, list[int]] = {}

    def scan(self) -> dict[KeyPath, list[int]]:
        """Return the lines; of an invalid text, those before the error."""
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            self._scan_value(self._skip_blanks(0), ())
        return self._lines

    def _scan_value(self, at: int, path: KeyPath) -> int:
        """Record the line of a value, and return the place after it."""
        if not path or isinstance(path[-1], int):
            self._record_line(path, at)
        begin = self._text[at]
        if len(path) >= self._levels_at(path) or begin not in "{[":
            return self._decode(self._text, at)[1]
        at, index = self._skip_blanks(at + 1), 0
        while self._text[at] not in "}]":
            key: str | int = index
            if begin == "{":
                key, end = self._decode(self._text, at)
                self._record_line((*path, key), at)
                at = self._skip_blanks(self._skip_blanks(end) + 1)
            at = self._skip_blanks(self._scan_value(at, (*path, key)))
            at, index = self._skip_blanks(at + 1) if self._text[at] == "," else at, index + 1
        return at + 1

    def _skip_blanks(self, at: int) -> int:
        match = _BLANK_CHARACTERS.match(self._text, at)
        return match.end() if match is not None else at

    def _record_line(self, path: KeyPath, at: int) -> None:
        self._line += self._text.count("\n", self._counted_until, at)
        self._counted_until = at
        self._lines.setdefault(path, []).append(self._line)


_BLANK_CHARACTERS = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\n', re.DOTALL)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Texts, brackets, commas, colons and everything else, each with the line that it begins in."""
    line = 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token != "\n":
            yield token, line
        line += token.count("\n")


def _find_line(text: str, start: str) -> int | None:
    """Return the line of the token that starts so; without a start, of the first very long token that is not a text."""
    for token, line in _tokens(text):
        if (start and token.startswith(start)) or (not start and len(token) > 4000 and token[0] != '"'):
            return line
    return None


def _find_too_deep_line(text: str) -> int | None:
    """The line where nesting goes beyond what is allowed."""
    depth = 0
    for token, line in _tokens(text):
        depth += (token in "{[") - (token in "}]")
        if depth > MAX_NESTING:
            return line
    return None


def find_json_lines(text: str) -> dict[KeyPath, list[int]]:
    """Return the lines of each key and list entry, from 1; several for a duplicate key."""
    return _LineScanner(text, lambda _: MAX_NESTING + 1).scan()


def _decode_key(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token
