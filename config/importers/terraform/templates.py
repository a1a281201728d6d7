"""Parses texts of HCL with `${...}`, in quotes and as heredocs. Called by expressions."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any

from config.importers.errors import UnreadableSource
from config.importers.terraform.budget import MAX_TEXT
from config.importers.terraform.scanner import Scanner
from config.importers.terraform.scope import HclScope, UnknownHclValue, write_text

Evaluation = Callable[[HclScope], Any]
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

    def refuse(scope: HclScope) -> Any:
        raise UnknownHclValue("a directive %{...}")

    return refuse


def parse_heredoc(scanner: Scanner, parse_inner: ParseInner) -> Evaluation:
    """Parse `<<EOT` and `<<-EOT`, whose lines are shortened by their common indentation. Raises UnreadableSource."""
    head = scanner.take_match(_HEREDOC)
    if head is None:
        scanner.fail("expected a heredoc")
    found = re.compile(rf"^[ \t]*{head[2]}[ \t\r]*$", re.MULTILINE).search(scanner.text, scanner.at)
    if found is None:
        scanner.fail(f"the heredoc has no closing {head[2]}")
    text = scanner.text[scanner.at : found.start()]
    scanner.at = found.end()
    if head[1]:
        text = textwrap.dedent(text)
    inner = Scanner(text, "")
    inner.level = scanner.level
    try:
        return _join(_parse_parts(inner, parse_inner))
    except UnreadableSource as error:
        scanner.at = found.start()
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

    def evaluate(scope: HclScope) -> Any:
        scope.budget.spend(len(parts))
        written: list[str] = []
        length = 0
        for part in parts:
            written.append(part if isinstance(part, str) else write_text(part(scope)))
            length += len(written[-1])
            if length > MAX_TEXT:
                raise UnknownHclValue(f"a text of more than {MAX_TEXT} characters")
        return scope.admit("".join(written))

    return evaluate
