"""Parses expressions of HCL into functions of a scope. Called by bodies."""

from __future__ import annotations

import re
from typing import Any

from config.importers.terraform.containers import parse_list, parse_object
from config.importers.terraform.evaluation import Evaluation, Expression, combine, compute, known, select_member
from config.importers.terraform.scanner import Scanner
from config.importers.terraform.scope import HclScope, UnknownHclValue, call_function
from config.importers.terraform.templates import parse_heredoc, parse_quoted

_LONGEST_NUMBER = 300
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
    def evaluate(scope: HclScope) -> Any:
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

    def evaluate(scope: HclScope) -> Any:
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
        if len(number[0]) > _LONGEST_NUMBER:
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
    if word in _CONSTANTS:
        return lambda scope: _CONSTANTS[word]
    if scanner.peek() == "(":
        return _call(scanner, word)
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

    def evaluate(scope: HclScope) -> Any:
        if name in ("try", "can"):
            return _try(name, arguments, scope)
        values = [argument(scope) for argument in arguments]
        if is_spread and isinstance(values[-1], list):
            values = [*values[:-1], *values[-1]]
        return call_function(name, values, scope)

    return evaluate


def _try(name: str, arguments: list[Evaluation], scope: HclScope) -> Any:
    for argument in arguments:
        try:
            value = known(argument(scope))
        except UnknownHclValue:
            continue
        return value if name == "try" else True
    raise UnknownHclValue(f"function {name}")
