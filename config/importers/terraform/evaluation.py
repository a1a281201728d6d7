"""Values of expressions in HCL, and how they are computed. Used by expressions, containers and configuration. Pure.

A part of a list or an object whose value is not known is an UnresolvedText; otherwise the whole value is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from config.importers.terraform.scope import HclScope, UnknownHclValue
from config.importers.unresolved import UnresolvedText

Evaluation = Callable[[HclScope], Any]


@dataclass(frozen=True)
class Expression:
    """`text`: its source."""

    evaluation: Evaluation
    text: str
    line: int

    def evaluate(self, scope: HclScope) -> Any:
        """Return the value; an UnresolvedText if it is not known."""
        return resolve(self.evaluation, scope, self.text)


def resolve(evaluation: Evaluation, scope: HclScope, text: str) -> Any:
    """Return a value; an UnresolvedText if it is not known. Raises UnreadableSource: no steps are left."""
    scope.budget.spend(1)
    try:
        return evaluation(scope)
    except UnknownHclValue as error:
        return UnresolvedText(text, str(error))
    except RecursionError:
        return UnresolvedText(text, "a deeply nested expression")


def combine(operator: str, left: Evaluation, right: Evaluation) -> Evaluation:
    def evaluate(scope: HclScope) -> Any:
        scope.budget.spend(1)
        one = known(left(scope))
        if operator == "||":
            return bool(one) or bool(known(right(scope)))
        if operator == "&&":
            return bool(one) and bool(known(right(scope)))
        other = known(right(scope))
        for operand in (one, other):
            scope.read_whole(operand)
        return scope.admit(compute(operator, one, other))

    return evaluate


def compute(operator: str, one: Any, other: Any) -> Any:
    operations: dict[str, Callable[[], Any]] = {
        "==": lambda: one == other,
        "!=": lambda: one != other,
        "<=": lambda: one <= other,
        ">=": lambda: one >= other,
        "<": lambda: one < other,
        ">": lambda: one > other,
        "+": lambda: one + other,
        "-": lambda: one - other,
        "*": lambda: one * other,
        "/": lambda: one / other if one % other else one // other,
        "%": lambda: one % other,
    }
    if operator not in ("==", "!=") and not all(isinstance(value, (int, float)) for value in (one, other)):
        raise UnknownHclValue(f"the operator {operator}")
    try:
        return operations[operator]()
    except (ArithmeticError, TypeError):
        raise UnknownHclValue(f"the operator {operator}") from None


def known(value: Any) -> Any:
    if isinstance(value, UnresolvedText):
        raise UnknownHclValue(value.needs)
    return value


def select_member(value: Evaluation, key: Evaluation) -> Evaluation:
    def evaluate(scope: HclScope) -> Any:
        scope.budget.spend(1)
        container, name = known(value(scope)), known(key(scope))
        if callable(container):
            return container(str(name))
        try:
            if isinstance(container, dict):
                return container[name if name in container else str(name)]
            if isinstance(container, list) and isinstance(name, int):
                return container[name]
        except (KeyError, IndexError):
            pass
        raise UnknownHclValue(f"the key {name}")

    return evaluate
