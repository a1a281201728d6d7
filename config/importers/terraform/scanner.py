"""The characters of a file in HCL, with blanks and comments skipped. Used by bodies and expressions. Pure."""

from __future__ import annotations

import re
from typing import NoReturn

from config.importers.errors import UnreadableSource

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_SPACE = re.compile(r"(?:[ \t\r]|/\*[^\n]*?\*/)+")
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_MOST_LEVELS = 40
"""Each takes a dozen calls of functions, of which Python allows a thousand within each other."""


class Scanner:
    """`at`: the position. `level`: of nested expressions and blocks, which is bounded."""

    def __init__(self, text: str, shown: str) -> None:
        self.text = text
        self.at = 0
        self._shown = shown
        self.level = 0

    def enter(self) -> None:
        self.level += 1
        if self.level > _MOST_LEVELS:
            self.fail(f"has more than {_MOST_LEVELS} levels")

    def leave(self) -> None:
        self.level -= 1

    def skip_blanks(self) -> None:
        """Skip blanks, line ends and comments."""
        if (found := _BLANK.match(self.text, self.at)) is not None:
            self.at = found.end()

    def skip_spaces(self) -> None:
        """Skip blanks within a line."""
        if (found := _SPACE.match(self.text, self.at)) is not None:
            self.at = found.end()

    def peek(self, length: int = 1) -> str:
        return self.text[self.at : self.at + length]

    def take(self, *signs: str) -> str:
        """Return the first of the signs that is next, and go past it; empty if none is."""
        for sign in signs:
            if self.text.startswith(sign, self.at):
                self.at += len(sign)
                return sign
        return ""

    def require(self, sign: str) -> None:
        self.skip_blanks()
        if not self.take(sign):
            self.fail(f"expected {sign}")

    def take_word(self) -> str:
        """Return the name that is next; empty if none is."""
        found = _WORD.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def take_match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    @property
    def is_at_end(self) -> bool:
        return self.at >= len(self.text)

    def line(self, at: int | None = None) -> int:
        return self.text.count("\n", 0, self.at if at is None else at) + 1

    def fail(self, message: str) -> NoReturn:
        """Raises UnreadableSource with line and column."""
        column = self.at - self.text.rfind("\n", 0, self.at)
        raise UnreadableSource(self._shown, f"is not valid HCL: {message}", "", self.line(), column)
