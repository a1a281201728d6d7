"""CEL expressions: checked at load, compiled once for each text, bounded when used. Called by cel.py.

The library (cel-expr-python, over Google's cel-cpp) ends after 10,000 rounds of comprehensions; but a round may be
long, and nothing stops it from outside. So each expression is compiled with a look at the clock in every round, see
rounds.py. The library is imported with the first expression: most jobs need none.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from jobs.expectations.budget import Allowance
from jobs.expectations.compiled_cache import CompiledCache
from jobs.expectations.patterns import LONGEST, TooMuchWork
from jobs.expectations.plain_values import MOST_VALUES, Copy, TooDeep, TooLarge
from jobs.expectations.rounds import LOOK, with_looks

if TYPE_CHECKING:
    from cel_expr_python import cel

VARIABLES = {
    "status": "INT",
    "body": "STRING",
    "json": "DYN",
    "headers": "STRING",
    "response_time": "INT",
    "facts": "DYN",
    "certificate": "DYN",
}
"""What an expression may name, with its type; `headers`, `facts` and `certificate` are maps of such."""
_MAPS = ("headers", "facts", "certificate")

EVALUATE_SECONDS = 0.25
"""An expression that is not done after this is given up, for it holds everything else up."""
LARGEST = 4 * 1024 * 1024
"""Characters of a body that an expression may look at: without any comprehension it goes over it, too."""

_KEPT = 4096
_MOST_BYTES_HELD = 64 * 1024 * 1024
"""Of all compiled expressions that are held, as estimated by the two below."""
_BYTES_OF_A_CHARACTER, _BYTES_OF_A_MACRO = 150, 6000


class ExpressionFailed(Exception):
    """The expression came to no value; the message says why."""


_allowance: ContextVar[Allowance] = ContextVar("allowance")
"""The time of the evaluation that is going on: the compiled expression serves all of them."""


def _in_time() -> bool:
    if _allowance.get().left <= 0:
        raise TimeoutError
    return True


@lru_cache(1)
def _environment() -> cel.Env:
    from cel_expr_python import cel

    types = {name: getattr(cel.Type, kind) for name, kind in VARIABLES.items()}
    for name in _MAPS:
        types[name] = cel.Type.Map(cel.Type.STRING, types[name])
    look = cel.Overload(LOOK, cel.Type.BOOL, [], False, _in_time)
    return cel.NewEnv(variables=types, functions=[cel.FunctionDecl(LOOK, [look])])


def _compile(expression: str) -> tuple[cel.Expression, int]:
    size = _BYTES_OF_A_CHARACTER * len(expression) + _BYTES_OF_A_MACRO * expression.count("(")
    return _environment().compile(with_looks(expression)), size


_expressions = CompiledCache(_compile, _MOST_BYTES_HELD)


def evaluate(expression: str, variables: dict[str, Any]) -> Any:
    """The value of an expression that was checked: a JSON value, or a text of what it is.

    Raises:
        ExpressionFailed: it came to none, such as for a key that is not there.
        TooMuchWork: it was not done in time, or the answer is too large for it.
        OutOfTime: the time of the judgement is over.
    """
    if len(variables.get("body", "")) > LARGEST:
        raise TooMuchWork(f"the body is larger than {LARGEST // 1024 // 1024} MiB: read less of it (read_limit)")
    allowance = Allowance(EVALUATE_SECONDS)
    token = _allowance.set(allowance)
    too_long = TooMuchWork(_TOO_LONG)
    try:
        value = _expressions.get(expression).eval(data=_converted(variables, allowance, too_long))
    except TooDeep:
        raise TooMuchWork("the document is nested too deeply for it") from None
    except TooLarge:
        raise TooMuchWork(f"the document has more than {MOST_VALUES} values: read less of it (read_limit)") from None
    except RuntimeError as error:
        raise _failed(str(error)) from None
    finally:
        _allowance.reset(token)
    if allowance.left <= 0:
        raise allowance.exceeded(too_long)
    return _result(value)


def _converted(variables: dict[str, Any], allowance: Allowance, too_long: Exception) -> dict[str, Any]:
    """The variables as the library takes them; it takes them over without a look at the clock."""

    def check() -> None:
        if allowance.left <= 0:
            raise allowance.exceeded(too_long)

    copy = Copy(check)
    return {name: copy.of(value) for name, value in variables.items()}


_TOO_LONG = "it takes too long: make the expression simpler"
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_PLACE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


def _failed(message: str) -> Exception:
    if "budget exceeded" in message:
        return TooMuchWork("it takes more than 10,000 rounds: make the expression simpler")
    return ExpressionFailed(_STATUS.sub("", message))


def _result(value: cel.Value) -> Any:
    kind = value.type().name()
    if kind == "ERROR":
        raise _failed(str(value.value()))
    if kind == "BOOL":
        return bool(value.value())
    return value.plain_value() if kind in ("INT", "UINT", "DOUBLE", "STRING") else f"a value of type {kind}"


@lru_cache(_KEPT)
def _kind_of(expression: str) -> str:
    """Of its value, as it stands and with the looks at the clock, which nest it deeper."""
    kind: str = _environment().compile(expression).return_type().name()
    _expressions.get(expression)
    return kind


def _valid_expression(expression: str) -> str:
    try:
        kind = _kind_of(expression)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{expression!r} is not a CEL expression: {_problem(str(error))}") from None
    if kind not in ("BOOL", "DYN"):
        raise ValueError(f"{expression!r} is a CEL expression of type {kind}: it must be true or false")
    return expression


def _problem(message: str) -> str:
    """What is wrong and where, as one line; the library draws the place below the line."""
    found = _PLACE.search(message)
    if found is None or found[1] == "-1":
        return "it is nested too deeply" if "recursion" in message else _STATUS.sub("", message).split("\n", 1)[0]
    line, column, what = found.groups()
    what = what.removesuffix(" (in container '')").partition(" expecting {")[0]
    place = f"column {column}" if line == "1" else f"line {line}, column {column}"
    names = f"; known: {', '.join(VARIABLES)}" if what.startswith("undeclared reference") else ""
    return f"at {place}: {what}{names}"


Expression = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_valid_expression)]
"""A field of an expression that is true or false."""
