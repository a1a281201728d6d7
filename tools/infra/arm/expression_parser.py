"""Parses expressions of ARM JSON, such as `[format('{0}-x', parameters('name'))]`. For tools.infra.arm.evaluation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<word>[A-Za-z_]\w*)|(?P<symbol>[().,\[\]]))", re.S
)


@dataclass(frozen=True, slots=True)
class Constant:
    value: str | int


@dataclass(frozen=True, slots=True)
class FunctionCall:
    name: str
    arguments: tuple[ArmExpression, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """A property or an item."""

    base: ArmExpression
    key: ArmExpression


ArmExpression: TypeAlias = "Constant | FunctionCall | Access"


def parse_expression(text: str) -> ArmExpression:
    """Parse an expression without its brackets. Raises ValueError."""
    parser = _Parser(text)
    found = parser.expression()
    if parser.peek() != ("", ""):
        raise ValueError(f"unexpected {parser.peek()[1]!r} in {text}")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> tuple[str, str]:
        """Return kind and text of the next token; empty at the end."""
        found = self._match()
        return (str(found.lastgroup), found[str(found.lastgroup)]) if found else ("", "")

    def _match(self) -> re.Match[str] | None:
        if not self._text[self._at :].strip():
            return None
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise ValueError(f"unexpected {self._text[self._at :][:20]!r}")
        return found

    def _take(self) -> tuple[str, str]:
        found = self._match()
        if found is None:
            raise ValueError(f"{self._text} ends too early")
        self._at = found.end()
        return str(found.lastgroup), found[str(found.lastgroup)]

    def _expect(self, symbol: str) -> None:
        if self._take() != ("symbol", symbol):
            raise ValueError(f"expected {symbol} in {self._text}")

    def expression(self) -> ArmExpression:
        kind, text = self._take()
        if kind == "text":
            found: ArmExpression = Constant(text[1:-1].replace("''", "'"))
        elif kind == "number":
            found = Constant(int(text))
        elif kind == "word":
            found = FunctionCall(text, self._arguments())
        else:
            raise ValueError(f"unexpected {text!r} in {self._text}")
        return self._accesses(found)

    def _accesses(self, found: ArmExpression) -> ArmExpression:
        while self.peek() in (("symbol", "."), ("symbol", "[")):
            _, symbol = self._take()
            if symbol == ".":
                found = Access(found, Constant(self._take()[1]))
            else:
                found = Access(found, self.expression())
                self._expect("]")
        return found

    def _arguments(self) -> tuple[ArmExpression, ...]:
        self._expect("(")
        found: list[ArmExpression] = []
        while self.peek() != ("symbol", ")"):
            if found:
                self._expect(",")
            found.append(self.expression())
        self._expect(")")
        return tuple(found)
