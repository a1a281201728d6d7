"""Evaluates expressions of Resource Manager templates, such as `[concat('a', parameters('b'))]`. Called by templates.

Known are functions whose result follows from the template alone. Nothing is executed; length and depth are bounded.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>[().,\[\]]))"
)
_MOST_CHARACTERS = 100_000
_MOST_LEVELS = 50


class UnknownValue(Exception):
    """The value is not known before the deployment; the message names what has none."""


Lookup = Callable[[str], Any]


class ArmExpressions:
    """Evaluates expressions of one template. `parameters`, `variables`: return a value or raise UnknownValue."""

    def __init__(self, parameters: Lookup, variables: Lookup) -> None:
        self._lookups: Mapping[str, Lookup] = {"parameters": parameters, "variables": variables}
        self.copy_indexes: dict[str, int] = {}
        """Of the copy loops that are being expanded; empty name: the innermost one."""

    def evaluate(self, text: str) -> Any:
        """Return the value of an expression without its brackets. Raises UnknownValue."""
        if len(text) > _MOST_CHARACTERS:
            raise UnknownValue("a very long expression")
        parser = _Parser(text, self)
        value = parser.parse(0)
        parser.expect_end()
        return value

    def call(self, name: str, arguments: list[Any]) -> Any:
        """Return the result of a function. Raises UnknownValue."""
        lookup = self._lookups.get(name)
        if lookup is not None and len(arguments) == 1:
            return lookup(str(arguments[0]))
        if name == "copyindex":
            loop = str(arguments[0]) if arguments and isinstance(arguments[0], str) else ""
            offsets = [one for one in arguments if isinstance(one, int)]
            if loop not in self.copy_indexes:
                raise UnknownValue("copyIndex")
            return self.copy_indexes[loop] + sum(offsets)
        function = _FUNCTIONS.get(name)
        if function is None:
            raise UnknownValue(f"function {name}")
        try:
            result = function(*arguments)
        except UnknownValue:
            raise
        except Exception:  # whatever a function does not accept: the value is reported as unknown
            raise UnknownValue(f"function {name}") from None
        if isinstance(result, str) and len(result) > _MOST_CHARACTERS:
            raise UnknownValue(f"function {name}")
        return result


class _Parser:
    def __init__(self, text: str, expressions: ArmExpressions) -> None:
        self._text = text
        self._at = 0
        self._expressions = expressions

    def parse(self, level: int) -> Any:
        if level > _MOST_LEVELS:
            raise UnknownValue("a deeply nested expression")
        token = self._next()
        if token["text"] is not None:
            value: Any = token["text"][1:-1].replace("''", "'")
        elif token["number"] is not None:
            value = int(token["number"])
        elif token["name"] is not None:
            self._require("(")
            value = self._expressions.call(token["name"].lower(), self._arguments(level))
        else:
            raise UnknownValue("an expression that cannot be read")
        return self._members(value, level)

    def expect_end(self) -> None:
        if self._text[self._at :].strip():
            raise UnknownValue("an expression that cannot be read")

    def _arguments(self, level: int) -> list[Any]:
        arguments: list[Any] = []
        if self._peek() == ")":
            self._next()
            return arguments
        while True:
            arguments.append(self.parse(level + 1))
            sign = self._next()["sign"]
            if sign == ")":
                return arguments
            if sign != ",":
                raise UnknownValue("an expression that cannot be read")

    def _members(self, value: Any, level: int) -> Any:
        while (sign := self._peek()) in (".", "["):
            self._next()
            if sign == ".":
                key: Any = self._next()["name"]
            else:
                key = self.parse(level + 1)
                self._require("]")
            value = _member(value, key)
        return value

    def _peek(self) -> str:
        rest = self._text[self._at :].lstrip()
        return rest[:1]

    def _next(self) -> re.Match[str]:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise UnknownValue("an expression that cannot be read")
        self._at = found.end()
        return found

    def _require(self, sign: str) -> None:
        if self._next()["sign"] != sign:
            raise UnknownValue("an expression that cannot be read")


def _member(value: Any, key: Any) -> Any:
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    if isinstance(value, dict):
        for name, one in value.items():
            if str(name).lower() == str(key).lower():
                return one
    raise UnknownValue(f"the key {key}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"
    return value if isinstance(value, str) else json.dumps(value)


def _concat(*parts: Any) -> Any:
    if parts and all(isinstance(part, list) for part in parts):
        return [one for part in parts for one in part]
    return "".join(map(_text, parts))


def _format(pattern: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: _text(values[int(found[1])]), pattern)


def _resource_id(*parts: Any) -> str:
    """A path whose subscription and group are not known: only its type and names matter here."""
    texts = [_text(part) for part in parts]
    at = next(index for index, text in enumerate(texts) if "/" in text)
    kinds, names = texts[at].split("/"), texts[at + 1 :]
    path = "/".join(f"{kind}/{name}" for kind, name in zip(kinds[1:], names, strict=True))
    return f"/providers/{kinds[0]}/{path}"


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _union(*values: Any) -> Any:
    if all(isinstance(value, dict) for value in values):
        return {key: one for value in values for key, one in value.items()}
    joined = [one for value in values for one in value]
    return [one for index, one in enumerate(joined) if one not in joined[:index]]


def _equals(one: Any, other: Any) -> bool:
    return bool(one == other)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "concat": _concat,
    "format": _format,
    "tolower": lambda text: str(text).lower(),
    "toupper": lambda text: str(text).upper(),
    "trim": lambda text: str(text).strip(),
    "replace": lambda text, old, new: str(text).replace(old, new),
    "string": _text,
    "int": int,
    "bool": lambda value: str(value).lower() in ("true", "1"),
    "json": json.loads,
    "true": lambda: True,
    "false": lambda: False,
    "null": lambda: None,
    "if": lambda condition, yes, no: yes if condition else no,
    "equals": _equals,
    "not": lambda value: not value,
    "and": lambda *values: all(values),
    "or": lambda *values: any(values),
    "empty": lambda value: not value,
    "length": len,
    "first": lambda value: value[0],
    "last": lambda value: value[-1],
    "split": lambda text, sign: str(text).split(sign),
    "join": lambda values, sign: sign.join(map(_text, values)),
    "substring": lambda text, start, length=None: text[start : None if length is None else start + length],
    "contains": lambda container, item: item in container,
    "startswith": lambda text, start: str(text).lower().startswith(str(start).lower()),
    "endswith": lambda text, end: str(text).lower().endswith(str(end).lower()),
    "createarray": lambda *values: list(values),
    "createobject": lambda *pairs: dict(zip(pairs[::2], pairs[1::2], strict=True)),
    "coalesce": _coalesce,
    "union": _union,
    "base64": lambda text: base64.b64encode(str(text).encode()).decode(),
    "base64tostring": lambda text: base64.b64decode(text).decode(),
    "add": lambda one, other: one + other,
    "sub": lambda one, other: one - other,
    "mul": lambda one, other: one * other,
    "div": lambda one, other: one // other,
    "mod": lambda one, other: one % other,
    "min": min,
    "max": max,
    "greater": lambda one, other: one > other,
    "less": lambda one, other: one < other,
    "resourceid": _resource_id,
}
