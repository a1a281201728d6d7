"""Scans HCL, and parses texts with `${...}`, in quotes and as heredocs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from importers.expressions.evaluation import MAX_TEXT, ExpressionScope, UnknownValue, write_text
from importers.source_tree import UnreadableSource

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_SPACE = re.compile(r"(?:[ \t\r]|/\*[^\n]*?\*/)+")
_WORD = re.compile(r"[A-Za-z_][\w-]*")
MAX_LEVELS = 40
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
        if self.level > MAX_LEVELS:
            self.fail(f"has more than {MAX_LEVELS} levels")

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


Evaluation = Callable[[ExpressionScope], Any]
ParseInner = Callable[[Scanner], Evaluation]

_HEREDOC = re.compile(r"<<(-?)([A-Za-z_]\w*)[ \t\r]*\n")
_PLAIN = re.compile(r'[^"\\$%\n]+')
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def parse_quoted(scanner: Scanner, parse_inner: ParseInner) -> Evaluation:
    """Parse a text in quotes. Raises UnreadableSource."""
    scanner.take('"')
    parts: list[str | Evaluation] = []
    while True:
        if (plain := scanner.take_match(_PLAIN)) is not None:
            parts.append(plain[0])
        elif scanner.take('"'):
            return _join(parts)
        elif scanner.take("\\"):
            parts.append(_escape(scanner))
        elif scanner.take("$${", "%%{"):
            parts.append(scanner.text[scanner.at - 2 : scanner.at])
        elif scanner.take("${~", "${"):
            parts.append(_interpolation(scanner, parse_inner))
        elif scanner.take("%{"):
            parts.append(_directive(scanner))
        elif scanner.is_at_end or scanner.peek() == "\n":
            scanner.fail("a text has no closing quote")
        else:
            parts.append(scanner.peek())
            scanner.at += 1


def _escape(scanner: Scanner) -> str:
    if (found := scanner.take_match(re.compile(r"u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})"))) is not None:
        try:
            return chr(int(found[1] or found[2], 16))
        except (ValueError, OverflowError):
            scanner.fail("a character does not exist")
    sign = scanner.peek()
    scanner.at += 1
    return _ESCAPES.get(sign) or scanner.fail(f"\\{sign} is not an escape")


def _interpolation(scanner: Scanner, parse_inner: ParseInner) -> Evaluation:
    inner = parse_inner(scanner)
    scanner.skip_blanks()
    if not scanner.take("~}", "}"):
        scanner.fail("expected }")
    return inner


def _directive(scanner: Scanner) -> Evaluation:
    end = scanner.text.find("}", scanner.at)
    if end < 0:
        scanner.fail("expected }")
    scanner.at = end + 1

    def refuse(scope: ExpressionScope) -> Any:
        raise UnknownValue("a directive %{...}")

    return refuse


def parse_heredoc(scanner: Scanner, parse_inner: ParseInner) -> Evaluation:
    """Parse `<<EOT` and `<<-EOT`, whose lines are shortened by their common indentation. Raises UnreadableSource."""
    head = scanner.take_match(_HEREDOC)
    if head is None:
        scanner.fail("expected a heredoc")
    end = re.compile(rf"^[ \t]*{head[2]}[ \t\r]*$", re.MULTILINE).search(scanner.text, scanner.at)
    if end is None:
        scanner.fail(f"the heredoc has no closing {head[2]}")
    text = scanner.text[scanner.at : end.start()]
    scanner.at = end.end()
    if head[1]:
        text = textwrap.dedent(text)
    inner = Scanner(text, "")
    inner.level = scanner.level
    try:
        return _join(_parse_parts(inner, parse_inner))
    except UnreadableSource as error:
        scanner.at = end.start()
        scanner.fail(f"in the heredoc before it, {error.message}")


def _parse_parts(inner: Scanner, parse_inner: ParseInner) -> list[str | Evaluation]:
    parts: list[str | Evaluation] = []
    plain = re.compile(r"[^$%]+")
    while not inner.is_at_end:
        if (piece := inner.take_match(plain)) is not None:
            parts.append(piece[0])
        elif inner.take("$${", "%%{"):
            parts.append(inner.text[inner.at - 2 : inner.at])
        elif inner.take("${~", "${"):
            parts.append(_interpolation(inner, parse_inner))
        elif inner.take("%{"):
            parts.append(_directive(inner))
        else:
            parts.append(inner.peek())
            inner.at += 1
    return parts


def _join(parts: list[str | Evaluation]) -> Evaluation:
    if len(parts) == 1 and not isinstance(parts[0], str):
        return parts[0]  # "${var.list}" is the value itself

    def evaluate(scope: ExpressionScope) -> Any:
        scope.budget.spend(len(parts))
        written: list[str] = []
        length = 0
        for part in parts:
            written.append(part if isinstance(part, str) else write_text(part(scope)))
            length += len(written[-1])
            if length > MAX_TEXT:
                raise UnknownValue(f"a text of more than {MAX_TEXT} characters")
        return scope.admit("".join(written))

    return evaluate
