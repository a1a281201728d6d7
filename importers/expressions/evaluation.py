"""Computes expressions: their scope, how much they can take, and what operators and calls of functions result in. Pure.

An expression is a function of a scope. Locals that refer to each other can double 40 times, and `for` expressions
within each other multiply, so a budget bounds the steps of a document and the size of each value. A part of a list or
an object whose value is not known is an UnresolvedText; otherwise the whole value is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from importers.source_tree import UnreadableSource, UnresolvedText

MAX_STEPS = 1_000_000
"""Evaluated parts of expressions, entries and hundreds of characters of what they make: a few seconds."""
MAX_TEXT = 200_000
"""Characters of one text."""
MAX_ENTRIES = 100_000
"""Values within one value, wherever they are nested, and hundreds of characters of its texts."""
MAX_DEPTH = 50
MAX_BITS = 1024
"""Of a whole number."""


class TooLarge(Exception):
    """A value that is larger than any value of a job; the message names it."""


class Budget:
    """The steps of one document. `shown`: its file in errors, `hint`: what to import instead."""

    def __init__(
        self,
        shown: str = "terraform",
        steps: int = MAX_STEPS,
        hint: str = "import the JSON of terraform show -json",
    ) -> None:
        self._shown = shown
        self._hint = hint
        self._max_steps = self.left = steps
        self._sizes: dict[int, tuple[Any, int, int]] = {}
        """Containers with their size and depth by identity: one that is part of others is measured once."""

    def spend(self, steps: int) -> None:
        """Raises UnreadableSource: no steps are left."""
        self.left -= steps
        if self.left < 0:
            message = f"its expressions take more than {self._max_steps} steps"
            raise UnreadableSource(self._shown, message, self._hint)

    def measure(self, value: Any) -> int:
        """Return the size of a value, and spend it. Raises TooLarge, UnreadableSource."""
        size, _ = self._measure(value)
        return size

    def _measure(self, value: Any) -> tuple[int, int]:
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise TooLarge(f"a text of more than {MAX_TEXT} characters")
            self.spend(len(value) // 100)
            return 1 + len(value) // 100, 0
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise TooLarge("a number of more than 300 digits")
        if not isinstance(value, (dict, list)):
            return 1, 0
        known = self._sizes.get(id(value))
        if known is None:
            known = self._sizes[id(value)] = (value, *self._measure_parts(value))
        return known[1:]

    def _measure_parts(self, value: dict[Any, Any] | list[Any]) -> tuple[int, int]:
        self.spend(1 + len(value))
        size, depth = 1, 0
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            inner, level = self._measure(one)
            size, depth = size + inner, max(depth, level + 1)
            if size > MAX_ENTRIES:
                raise TooLarge(f"a value with more than {MAX_ENTRIES} others")
            if depth > MAX_DEPTH:
                raise TooLarge(f"a value of more than {MAX_DEPTH} levels")
        return size, depth


class UnknownValue(Exception):
    """A value that is only known when the document is deployed; the message names what has none."""


@dataclass(frozen=True)
class Language:
    """`functions`: those whose result follows from their arguments. `ignores_case`: of names of functions and keys.

    `accepts_unknown`: whether arguments of functions may contain parts that are not known. `has_try`: whether `try` and
    `can` evaluate one argument after the other.
    """

    functions: Mapping[str, Callable[..., Any]]
    ignores_case: bool = False
    accepts_unknown: bool = False
    has_try: bool = False


@dataclass(frozen=True)
class ExpressionScope:
    """`names`: of values, or of functions that return a value by a second name (`var.region`) or raise UnknownValue.

    `lookups`: functions of the document itself, such as `parameters('name')`. `budget`: shared by all scopes of a
    document.
    """

    language: Language
    names: Mapping[str, Any] = field(default_factory=dict)
    lookups: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def with_names(self, **names: Any) -> ExpressionScope:
        return replace(self, names={**self.names, **names})

    def root(self, name: str) -> Any:
        """Return what a first name stands for: a value, or a function of the second name. Raises UnknownValue."""
        self.budget.spend(1)
        if name not in self.names:
            raise UnknownValue(name)
        return self.names[name]

    def admit(self, value: Any) -> Any:
        """Return a value that was made, at the cost of its size. Raises UnknownValue: it is too large."""
        self._measure(value)
        return value

    def read_whole(self, value: Any) -> None:
        """Pay for reading all parts of a value. Raises UnknownValue: it is too large."""
        self.budget.spend(self._measure(value) // 10)

    def _measure(self, value: Any) -> int:
        try:
            return self.budget.measure(value)
        except TooLarge as error:
            raise UnknownValue(str(error)) from None


def call_function(name: str, arguments: list[Any], scope: ExpressionScope) -> Any:
    """Return the result of a function. Raises UnknownValue: it does not follow from the arguments."""
    language = scope.language
    name = name.lower() if language.ignores_case else name
    scope.budget.spend(1)
    for argument in arguments:
        scope.read_whole(argument)
    if name in scope.lookups:
        return scope.lookups[name](*arguments)
    function = language.functions.get(name)
    if function is None or (not language.accepts_unknown and any(map(_has_unknown, arguments))):
        raise UnknownValue(f"function {name}")
    try:
        result = function(*arguments)
    except Exception:  # whatever a function does not accept: the value is reported as unknown
        raise UnknownValue(f"function {name}") from None
    return scope.admit(result)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_has_unknown, value))
    return isinstance(value, UnresolvedText)


def write_text(value: Any) -> str:
    """Return a value as a template writes it. Raises UnknownValue."""
    if isinstance(value, UnresolvedText):
        raise UnknownValue(value.needs)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise UnknownValue("a text of a list or an object")


Evaluation = Callable[[ExpressionScope], Any]


@dataclass(frozen=True)
class Expression:
    """`text`: its source."""

    evaluation: Evaluation
    text: str
    line: int

    def evaluate(self, scope: ExpressionScope) -> Any:
        """Return the value; an UnresolvedText if it is not known."""
        return resolve(self.evaluation, scope, self.text)


def resolve(evaluation: Evaluation, scope: ExpressionScope, text: str) -> Any:
    """Return a value; an UnresolvedText if it is not known. Raises UnreadableSource: no steps are left."""
    scope.budget.spend(1)
    try:
        return evaluation(scope)
    except UnknownValue as error:
        return UnresolvedText(text, str(error))
    except RecursionError:
        return UnresolvedText(text, "a deeply nested expression")


def combine(operator: str, left: Evaluation, right: Evaluation) -> Evaluation:
    def evaluate(scope: ExpressionScope) -> Any:
        scope.budget.spend(1)
        first = known(left(scope))
        if operator == "||":
            return bool(first) or bool(known(right(scope)))
        if operator == "&&":
            return bool(first) and bool(known(right(scope)))
        other = known(right(scope))
        for operand in (first, other):
            scope.read_whole(operand)
        return scope.admit(compute(operator, first, other))

    return evaluate


def compute(operator: str, first: Any, other: Any) -> Any:
    operations: dict[str, Callable[[], Any]] = {
        "==": lambda: first == other,
        "!=": lambda: first != other,
        "<=": lambda: first <= other,
        ">=": lambda: first >= other,
        "<": lambda: first < other,
        ">": lambda: first > other,
        "+": lambda: first + other,
        "-": lambda: first - other,
        "*": lambda: first * other,
        "/": lambda: first / other if first % other else first // other,
        "%": lambda: first % other,
    }
    if operator not in ("==", "!=") and not all(isinstance(value, (int, float)) for value in (first, other)):
        raise UnknownValue(f"the operator {operator}")
    try:
        return operations[operator]()
    except (ArithmeticError, TypeError):
        raise UnknownValue(f"the operator {operator}") from None


def known(value: Any) -> Any:
    if isinstance(value, UnresolvedText):
        raise UnknownValue(value.needs)
    return value


def select_member(value: Evaluation, key: Evaluation) -> Evaluation:
    def evaluate(scope: ExpressionScope) -> Any:
        scope.budget.spend(1)
        container, name = known(value(scope)), known(key(scope))
        if callable(container):
            return container(str(name))
        if isinstance(container, list) and isinstance(name, int) and 0 <= name < len(container):
            return container[name]
        if isinstance(container, dict):
            if str(name) in container:
                return container[str(name)]
            for other, entry in container.items() if scope.language.ignores_case else ():
                if str(other).lower() == str(name).lower():
                    return entry
        raise UnknownValue(f"the key {name}")

    return evaluate
