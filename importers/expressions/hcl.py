"""Parses expressions of HCL into functions of a scope."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from importers.expressions.evaluation import (
    Evaluation,
    Expression,
    ExpressionScope,
    UnknownValue,
    call_function,
    combine,
    compute,
    known,
    select_member,
)
from importers.expressions.texts import Scanner, parse_heredoc, parse_quoted

ParseExpression = Callable[[Scanner], Expression]

_FOR = re.compile(r"for\b")
_MAX_ENTRIES = 2000


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

    def evaluate(scope: ExpressionScope) -> Any:
        results: list[tuple[Any, Any]] = []
        entries = _entries(known(source(scope)))
        scope.budget.spend(len(entries) // 10)
        for key, value in entries[:_MAX_ENTRIES]:
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
    raise UnknownValue("the source of a for expression")


_MAX_NUMBER_LENGTH = 300
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_OPERATORS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("==", "!="),
    ("<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/", "%"),
)
"""From the weakest."""
_NOT_OPERATORS = ("=>", "//", "/*")
_CONSTANTS = {"true": True, "false": False, "null": None}


def parse_expression(scanner: Scanner) -> Expression:
    """Raises UnreadableSource."""
    scanner.skip_blanks()
    start, line = scanner.at, scanner.line()
    evaluation = _conditional(scanner)
    return Expression(evaluation, scanner.text[start : scanner.at].strip(), line)


def _conditional(scanner: Scanner) -> Evaluation:
    scanner.enter()
    condition = _binary(scanner, 0)
    scanner.skip_spaces()
    if scanner.peek() == "?":
        scanner.take("?")
        yes = parse_expression(scanner).evaluation
        scanner.require(":")
        no = parse_expression(scanner).evaluation
        scanner.leave()
        return _choose(condition, yes, no)
    scanner.leave()
    return condition


def _choose(condition: Evaluation, yes: Evaluation, no: Evaluation) -> Evaluation:
    def evaluate(scope: ExpressionScope) -> Any:
        scope.budget.spend(1)
        return yes(scope) if known(condition(scope)) else no(scope)

    return evaluate


def _binary(scanner: Scanner, rank: int) -> Evaluation:
    if rank == len(_OPERATORS):
        return _unary(scanner)
    left = _binary(scanner, rank + 1)
    while True:
        at = scanner.at
        scanner.skip_spaces()
        if scanner.peek(2) in _NOT_OPERATORS or not (operator := scanner.take(*_OPERATORS[rank])):
            scanner.at = at
            return left
        scanner.skip_blanks()
        left = combine(operator, left, _binary(scanner, rank + 1))


def _unary(scanner: Scanner) -> Evaluation:
    scanner.skip_spaces()
    if sign := scanner.take("!", "-"):
        scanner.enter()
        inner = _unary(scanner)
        scanner.leave()
        if sign == "!":
            return lambda scope: not known(inner(scope))
        return lambda scope: compute("-", 0, known(inner(scope)))
    return _members(scanner, _primary(scanner))


def _members(scanner: Scanner, value: Evaluation) -> Evaluation:
    while True:
        if scanner.peek(3) == "...":
            return value
        if scanner.take(".*", "[*]"):
            return _splat(scanner, value)
        if scanner.take("."):
            found = scanner.take_match(re.compile(r"\d+"))
            key: Any = int(found[0]) if found is not None else scanner.take_word() or scanner.fail("expected a name")
            value = select_member(value, lambda scope, key=key: key)  # type: ignore[misc]
        elif scanner.take("["):
            index = parse_expression(scanner).evaluation
            scanner.require("]")
            value = select_member(value, index)
        else:
            return value


def _splat(scanner: Scanner, value: Evaluation) -> Evaluation:
    names: list[str] = []
    while scanner.take("."):
        names.append(scanner.take_word() or scanner.fail("expected a name"))

    def evaluate(scope: ExpressionScope) -> Any:
        found = known(value(scope))
        values = found if isinstance(found, list) else [found]
        scope.budget.spend(len(values) * (1 + len(names)))
        for name in names:
            values = [one[name] if isinstance(one, dict) and name in one else None for one in values]
        return scope.admit(values)

    return evaluate


def _primary(scanner: Scanner) -> Evaluation:
    sign = scanner.peek()
    if sign == '"':
        return parse_quoted(scanner, _conditional_in_template)
    if scanner.peek(2) == "<<":
        return parse_heredoc(scanner, _conditional_in_template)
    if (number := scanner.take_match(_NUMBER)) is not None:
        if len(number[0]) > _MAX_NUMBER_LENGTH:
            scanner.fail("a number is too long")
        value = float(number[0]) if any(one in number[0] for one in ".eE") else int(number[0])
        return lambda scope: value
    if scanner.take("("):
        inner = parse_expression(scanner).evaluation
        scanner.require(")")
        return inner
    if sign == "[":
        return parse_list(scanner, parse_expression)
    if sign == "{":
        return parse_object(scanner, parse_expression)
    word = scanner.take_word() or scanner.fail(f"expected a value, found {sign!r}")
    if scanner.peek() == "(":
        return _call(scanner, word)
    if word in _CONSTANTS:
        return lambda scope: _CONSTANTS[word]
    return lambda scope: scope.root(word)


def _conditional_in_template(scanner: Scanner) -> Evaluation:
    return parse_expression(scanner).evaluation


def _call(scanner: Scanner, name: str) -> Evaluation:
    scanner.take("(")
    arguments: list[Evaluation] = []
    is_spread = False
    while True:
        scanner.skip_blanks()
        if scanner.take(")"):
            break
        arguments.append(parse_expression(scanner).evaluation)
        scanner.skip_blanks()
        is_spread |= bool(scanner.take("..."))
        scanner.skip_blanks()
        if not scanner.take(",") and scanner.peek() != ")":
            scanner.fail("expected , or )")

    def evaluate(scope: ExpressionScope) -> Any:
        if scope.language.has_try and name in ("try", "can"):
            return _try(name, arguments, scope)
        values = [argument(scope) for argument in arguments]
        if is_spread and isinstance(values[-1], list):
            values = [*values[:-1], *values[-1]]
        return call_function(name, values, scope)

    return evaluate


def _try(name: str, arguments: list[Evaluation], scope: ExpressionScope) -> Any:
    for argument in arguments:
        try:
            value = known(argument(scope))
        except UnknownValue:
            continue
        return value if name == "try" else True
    raise UnknownValue(f"function {name}")
