"""Parses a Bicep file, or a file of its parameters (.bicepparam). Called by tools.infra.arm.compiler.

A construct that it does not know is an error: nothing is skipped.
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.infra.bicep.errors import BicepError
from tools.infra.bicep.expressions import ExpressionParser
from tools.infra.bicep.lexer import split_tokens
from tools.infra.bicep.syntax import BicepFile, Declaration, Expression, Loop

_SKIP = re.compile(r"// checkov:skip=(\w+): *(.+)")


def parse_file(path: Path) -> BicepFile:
    """Raises BicepError, with file and line."""
    try:
        return parse_bicep(path.read_text(encoding="utf-8"))
    except BicepError as error:
        raise error.in_file(path.name) from None


def parse_bicep(text: str) -> BicepFile:
    """Raises BicepError."""
    return _FileParser(text).parse()


class _FileParser:
    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._tokens = ExpressionParser(split_tokens(text))
        self._declarations: list[Declaration] = []
        self._header: dict[str, str] = {}
        self._metadata: dict[str, str] = {}

    def parse(self) -> BicepFile:
        tokens = self._tokens
        while True:
            tokens.skip_newlines()
            if tokens.current.kind == "end":
                return BicepFile(tuple(self._declarations), self._header, self._metadata)
            self._parse_statement()
            if tokens.current.kind not in ("newline", "end"):
                raise BicepError(f"unexpected {tokens.current.value!r}", tokens.current.line)

    def _parse_statement(self) -> None:
        tokens = self._tokens
        decorators = self._decorators()
        line, keyword = tokens.current.line, tokens.word()
        if keyword == "targetScope":
            tokens.expect("=")
            self._header[keyword] = tokens.text()
        elif keyword == "using":
            self._header[keyword] = tokens.text()
        elif keyword == "metadata":
            name = tokens.word()
            tokens.expect("=")
            self._metadata[name] = tokens.text()
        elif keyword in ("param", "var", "output"):
            self._declarations.append(self._value(keyword, decorators, line))
        elif keyword in ("resource", "module"):
            self._declarations.append(self._deployed(keyword, decorators, line))
        else:
            raise BicepError(f"unknown statement {keyword!r}", line)

    def _decorators(self) -> dict[str, Expression | None]:
        tokens = self._tokens
        found: dict[str, Expression | None] = {}
        while tokens.accept("@"):
            name = tokens.word()
            tokens.expect("(")
            found[name] = None if tokens.current.value == ")" else tokens.parse_expression()
            tokens.expect(")")
            tokens.skip_newlines()
        return found

    def _value(self, kind: str, decorators: dict[str, Expression | None], line: int) -> Declaration:
        tokens = self._tokens
        name = tokens.word()
        declared = tokens.word() if tokens.current.kind == "word" else ""
        value = tokens.parse_expression() if tokens.accept("=") else None
        if value is None and kind != "param":
            raise BicepError(f"{kind} {name} has no value", line)
        return Declaration(kind, name, declared, value, decorators, line=line)

    def _deployed(self, kind: str, decorators: dict[str, Expression | None], line: int) -> Declaration:
        tokens = self._tokens
        name, declared = tokens.word(), tokens.text()
        is_existing = tokens.accept("existing")
        tokens.expect("=")
        condition = tokens.condition()
        value = tokens.parse_expression()
        if isinstance(value, Loop) and condition is None:
            condition = value.condition
        skips = tuple(_SKIP.findall("\n".join(self._lines[line - 1 : tokens.current.line])))
        return Declaration(kind, name, declared, value, decorators, condition, is_existing, line, skips)
