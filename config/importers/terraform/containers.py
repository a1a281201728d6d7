"""Parses lists, objects and `for` expressions of HCL. Called by expressions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from config.importers.terraform.evaluation import Evaluation, Expression, known
from config.importers.terraform.scanner import Scanner
from config.importers.terraform.scope import HclScope, UnknownHclValue

ParseExpression = Callable[[Scanner], Expression]

_FOR = re.compile(r"for\b")
_MOST_ENTRIES = 2000


def parse_list(scanner: Scanner, parse: ParseExpression) -> Evaluation:
    scanner.take("[")
    scanner.skip_blanks()
    if _FOR.match(scanner.text, scanner.at):
        return _for(scanner, "]", parse)
    entries: list[Expression] = []
    while True:
        scanner.skip_blanks()
        if scanner.take("]"):
            return lambda scope: scope.admit([entry.evaluate(scope) for entry in entries])
        entries.append(parse(scanner))
        scanner.skip_blanks()
        if not scanner.take(",") and scanner.peek() != "]":
            scanner.fail("expected , or ]")


def parse_object(scanner: Scanner, parse: ParseExpression) -> Evaluation:
    scanner.take("{")
    scanner.skip_blanks()
    if _FOR.match(scanner.text, scanner.at):
        return _for(scanner, "}", parse)
    entries: list[tuple[Evaluation, Expression]] = []
    while True:
        scanner.skip_blanks()
        if scanner.take("}"):
            return lambda scope: scope.admit({str(known(key(scope))): value.evaluate(scope) for key, value in entries})
        word = scanner.take_word()
        key: Evaluation = (lambda scope, word=word: word) if word else parse(scanner).evaluation  # type: ignore[misc]
        scanner.skip_blanks()
        if not scanner.take("=", ":"):
            scanner.fail("expected = after a key")
        entries.append((key, parse(scanner)))
        scanner.skip_spaces()
        scanner.take(",")


def _for(scanner: Scanner, end: str, parse: ParseExpression) -> Evaluation:
    scanner.take("for")
    scanner.skip_blanks()
    names = [scanner.take_word()]
    scanner.skip_blanks()
    if scanner.take(","):
        scanner.skip_blanks()
        names.append(scanner.take_word())
        scanner.skip_blanks()
    if scanner.take_word() != "in":
        scanner.fail("expected in")
    source = parse(scanner).evaluation
    scanner.require(":")
    first = parse(scanner).evaluation
    scanner.skip_blanks()
    second = parse(scanner).evaluation if end == "}" and scanner.take("=>") else None
    scanner.skip_blanks()
    scanner.take("...")
    scanner.skip_blanks()
    condition = parse(scanner).evaluation if scanner.take("if ") else None
    scanner.require(end)

    def evaluate(scope: HclScope) -> Any:
        results: list[tuple[Any, Any]] = []
        entries = _entries(known(source(scope)))
        scope.budget.spend(len(entries) // 10)
        for key, value in entries[:_MOST_ENTRIES]:
            scope.budget.spend(1)
            inner = scope.with_names(**dict(zip(names, (key, value) if len(names) == 2 else (value,), strict=True)))
            if condition is None or known(condition(inner)):
                results.append((first(inner), second(inner) if second is not None else None))
        if second is not None:
            return scope.admit({str(known(key)): value for key, value in results})
        return scope.admit([one for one, _ in results])

    return evaluate


def _entries(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list):
        return list(enumerate(value))
    raise UnknownHclValue("the source of a for expression")
