"""Splits the text of a Bicep file into tokens. Called by tools.infra.bicep.parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.infra.bicep.errors import BicepError

_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|//[^\n]*|/\*.*?\*/|#disable-next-line[^\n]*)"
    r"|(?P<newline>\n)"
    r"|(?P<number>\d+)"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<multiline>'''.*?''')"
    r"|(?P<quote>')"
    r"|(?P<symbol>&&|\|\||\?\?|==|!=|<=|>=|[{}\[\]()=:,.?@!<>+\-*/%])",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", "$": "$"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: word, number, symbol, newline, text, end. `parts`: of a text, in which tokens are an expression."""

    kind: str
    value: str
    line: int
    parts: tuple[str | tuple[Token, ...], ...] = ()


def split_tokens(text: str) -> list[Token]:
    """Raises BicepError."""
    tokens = list(_Lexer(text).tokens(until=""))
    return [*tokens, Token("end", "", text.count("\n") + 1)]


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def tokens(self, until: str) -> Iterator[Token]:
        """Yield tokens until this closing bracket, which is read too; until the end of the text if it is empty."""
        depth = 0
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise BicepError(f"unexpected {self._text[self._at]!r}", self._line)
            self._at = found.end()
            kind, value, line = str(found.lastgroup), found[0], self._line
            self._line += value.count("\n")
            if value == "}" and depth == 0 and until:
                return
            depth += (value == "{") - (value == "}")
            if kind == "quote":
                yield Token("text", "", line, tuple(self._text_parts()))
            elif kind == "multiline":
                yield Token("text", "", line, (value[3:-3].removeprefix("\n"),))
            elif kind != "space":
                yield Token(kind, value, line)
        if until:
            raise BicepError("an expression in a text does not end", self._line)

    def _text_parts(self) -> Iterator[str | tuple[Token, ...]]:
        part = ""
        while True:
            character = self._text[self._at : self._at + 1]
            self._at += 1
            if character in ("", "\n"):
                raise BicepError("a text does not end", self._line)
            if character == "'":
                yield part
                return
            if character == "\\":
                part += _ESCAPES[self._text[self._at]]
                self._at += 1
            elif character == "$" and self._text.startswith("{", self._at):
                self._at += 1
                yield part
                yield (*self.tokens(until="}"), Token("end", "", self._line))
                part = ""
            else:
                part += character
