"""CEL expressions: validated at load, compiled once for each text, limited in rounds and time.

The library (cel-expr-python, over Google's cel-cpp) stops after 10,000 rounds of comprehensions, but a round can be
long and cannot be interrupted. So each expression is compiled with a deadline check in every round:
`items.all(i, i.ok)` becomes `items.all(i, _in_time() ? (i.ok) : false)`. A failed check makes the round an error
without evaluating it, so the remaining rounds end quickly. The library is imported with the first expression, as most
jobs have none. It cannot hold all JSON values, so that they are converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from jobs.expectations.budget import ComputeAllowance
from jobs.expectations.engines.regular_expressions import MAX_PATTERN, CompiledCache, LimitExceeded

if TYPE_CHECKING:
    from cel_expr_python import cel

DEADLINE_FUNCTION = "_in_time"

_MAX_CACHED_EXPRESSIONS = 4096

_TOKEN = re.compile(
    r"""
    //[^\n]*                                            # a comment
    | [rRbB]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3})
    | [rR](?:"[^"\n]*" | '[^'\n]*')                     # a raw text: a backslash is one
    | [bB]?(?:"(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*')
    | [A-Za-z_]\w*                                      # a name
    | .                                                 # anything else, sign by sign
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


def inject_deadline_checks(expression: str) -> str:
    """Insert the deadline checks into a valid expression."""
    tokens = [token for token in _TOKEN.findall(expression) if not token.startswith("//")]
    return "".join(_rewrite(iter(tokens)))


@lru_cache(_MAX_CACHED_EXPRESSIONS)
def free_names(expression: str) -> frozenset[str]:
    """Return the names of its variables, without fields, texts and the loop variables of macros."""
    tokens = [token for token in _TOKEN.findall(expression) if not (token.startswith("//") or token.isspace())]
    names, given = set(), set()
    for number, token in enumerate(tokens):
        before = tokens[max(number - 3, 0) : number]
        if before[-1:] == ["."] or not _NAME.fullmatch(token):
            continue
        names.add(token)
        if before[:1] == ["."] and before[1] in _MACROS and before[2] == "(":
            given.add(token)
    return frozenset(names - given)


def _rewrite(tokens: Iterator[str]) -> Iterator[str]:
    """Yield the tokens up to the end, with the rewritten arguments of macros."""
    before: list[str] = ["", ""]
    for token in tokens:
        yield token
        if token == "(" and before[1] in _MACROS and before[0] == ".":
            yield from _insert_check(before[1], _arguments(tokens))
        if not token.isspace():
            before = [before[1], token]


def _arguments(tokens: Iterator[str]) -> list[list[str]]:
    """Return the tokens of each argument, up to the closing bracket."""
    arguments: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        if token in _OPEN:
            depth += 1
        elif token in _CLOSE:
            if depth == 0:
                return arguments
            depth -= 1
        if token == "," and depth == 0:
            arguments.append([])
        else:
            arguments[-1].append(token)
    return arguments


def _insert_check(macro: str, arguments: list[list[str]]) -> Iterator[str]:
    texts = ["".join(_rewrite(iter(argument))) for argument in arguments]
    if macro == "map" and len(texts) == 2:
        texts.insert(1, "true")
    if len(texts) > 1:
        texts[1] = f"{DEADLINE_FUNCTION}() ? ({texts[1]}) : false"
    yield ", ".join(texts) + ")"


MAX_CEL_VALUES = 200_000
"""Values of all variables of an expression together; the library needs about a microsecond for each."""

_VALUES_A_CHECK = 1024
_DEEPEST_CEL_VALUE = 200
_INT64_LIMIT = 2**63


class CelInputTooDeep(Exception):
    """The value is nested too deeply."""


class CelInputTooLarge(Exception):
    """There are more values than MAX_VALUES."""


class CelInputCopier:
    """Copies values for one expression. `check`: called every few values, and can raise."""

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._count = 0

    def copy_value(self, value: Any, depth: int = 0) -> Any:
        """Copy a value, replacing unpaired surrogates and integers of more than 64 bits.

        Raises CelInputTooDeep, CelInputTooLarge.
        """
        self._count += 1
        if self._count % _VALUES_A_CHECK == 0:
            self._check()
            if self._count > MAX_CEL_VALUES:
                raise CelInputTooLarge
        if isinstance(value, str):
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        if isinstance(value, (list, tuple)):
            _check_depth(depth)
            return [self.copy_value(one, depth + 1) for one in value]
        if isinstance(value, Mapping):
            _check_depth(depth)
            return {self.copy_value(key, depth + 1): self.copy_value(one, depth + 1) for key, one in value.items()}
        if type(value) is int and not -_INT64_LIMIT <= value < _INT64_LIMIT:
            return _as_float(value)
        return value


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST_CEL_VALUE:
        raise CelInputTooDeep


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


CEL_VARIABLES = {
    "status": "INT",
    "body": "STRING",
    "json": "DYN",
    "headers": "STRING",
    "response_time": "INT",
    "facts": "DYN",
    "certificate": "DYN",
    "now": "TIMESTAMP",
}
"""The variables of an expression with their types; `headers`, `facts` and `certificate` are maps of that type."""
_MAPS = ("headers", "facts", "certificate")

EVALUATE_SECONDS = 0.25
"""Timeout of one evaluation: it blocks the thread."""
MAX_BODY_CHARACTERS = 4 * 1024 * 1024
"""Characters of a body that an expression can read: each function reads all of it."""

_MAX_BYTES_HELD = 64 * 1024 * 1024
"""Bytes of all cached expressions, as estimated by the two below."""
_BYTES_OF_A_CHARACTER, _BYTES_OF_A_MACRO = 150, 6000


class ExpressionError(Exception):
    """The evaluation failed; the message is the reason."""


_allowance: ContextVar[ComputeAllowance] = ContextVar("allowance")
"""The time of the current evaluation, for the deadline check, which all evaluations share."""


def _check_deadline() -> bool:
    if _allowance.get().remaining <= 0:
        raise TimeoutError
    return True


@lru_cache(1)
def _environment() -> cel.Env:
    from cel_expr_python import cel

    types = {name: getattr(cel.Type, kind) for name, kind in CEL_VARIABLES.items()}
    for name in _MAPS:
        types[name] = cel.Type.Map(cel.Type.STRING, types[name])
    look = cel.Overload(DEADLINE_FUNCTION, cel.Type.BOOL, [], False, _check_deadline)
    return cel.NewEnv(variables=types, functions=[cel.FunctionDecl(DEADLINE_FUNCTION, [look])])


def _compile(expression: str) -> tuple[cel.Expression, int]:
    size = _BYTES_OF_A_CHARACTER * len(expression) + _BYTES_OF_A_MACRO * expression.count("(")
    return _environment().compile(inject_deadline_checks(expression)), size


_expressions = CompiledCache(_compile, _MAX_BYTES_HELD)


def evaluate_expression(expression: str, variables: dict[str, Any]) -> Any:
    """Return the value of a validated expression: a JSON value, or a description of another type.

    Raises:
        ExpressionError: the evaluation failed, such as for a missing key.
        LimitExceeded: the evaluation timed out, or the answer is too large for it.
        BudgetExceeded: the budget of the judgement is used up.
    """
    if len(variables.get("body", "")) > MAX_BODY_CHARACTERS:
        raise LimitExceeded(f"the body is larger than {MAX_BODY_CHARACTERS // 1024 // 1024} MiB: lower read_limit")
    allowance = ComputeAllowance(EVALUATE_SECONDS)
    token = _allowance.set(allowance)
    too_long = LimitExceeded(_TOO_LONG)
    try:
        value = _expressions.get_compiled(expression).eval(data=_convert_variables(variables, allowance, too_long))
    except CelInputTooDeep:
        raise LimitExceeded("the document is nested too deeply") from None
    except CelInputTooLarge:
        raise LimitExceeded(f"the document has more than {MAX_CEL_VALUES} values: lower read_limit") from None
    except RuntimeError as error:
        raise _evaluation_error(str(error)) from None
    finally:
        _allowance.reset(token)
    if allowance.remaining <= 0:
        raise allowance.timeout_error(too_long)
    return _read_result(value)


def _convert_variables(variables: dict[str, Any], allowance: ComputeAllowance, too_long: Exception) -> dict[str, Any]:
    """Convert the variables for the library, which converts them itself without a deadline."""

    def check() -> None:
        if allowance.remaining <= 0:
            raise allowance.timeout_error(too_long)

    copy = CelInputCopier(check)
    return {name: copy.copy_value(value) for name, value in variables.items()}


_TOO_LONG = "it takes too long: simplify the expression"
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_PLACE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


def _evaluation_error(message: str) -> Exception:
    if "budget exceeded" in message:
        return LimitExceeded("it has more than 10,000 rounds: simplify the expression")
    return ExpressionError(_STATUS.sub("", message))


def _read_result(value: cel.Value) -> Any:
    kind = value.type().name()
    if kind == "ERROR":
        raise _evaluation_error(str(value.value()))
    if kind == "BOOL":
        return bool(value.value())
    return value.plain_value() if kind in ("INT", "UINT", "DOUBLE", "STRING") else f"a value of type {kind}"


@lru_cache(_MAX_CACHED_EXPRESSIONS)
def _return_type(expression: str) -> str:
    """Return the type of its value, after compiling it also with its deadline checks, which nest it deeper."""
    kind: str = _environment().compile(expression).return_type().name()
    _expressions.get_compiled(expression)
    return kind


def _valid_expression(expression: str) -> str:
    try:
        kind = _return_type(expression)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{expression!r} is not a CEL expression: {_explain_syntax(str(error))}") from None
    if kind not in ("BOOL", "DYN"):
        raise ValueError(f"{expression!r} is a CEL expression of type {kind}; expected true or false")
    return expression


def _explain_syntax(message: str) -> str:
    """Return message and position on one line; the library draws the position below the line."""
    found = _PLACE.search(message)
    if found is None or found[1] == "-1":
        return "it is nested too deeply" if "recursion" in message else _STATUS.sub("", message).split("\n", 1)[0]
    line, column, what = found.groups()
    what = what.removesuffix(" (in container '')").partition(" expecting {")[0]
    place = f"column {column}" if line == "1" else f"line {line}, column {column}"
    names = f"; known: {', '.join(CEL_VARIABLES)}" if what.startswith("undeclared reference") else ""
    return f"at {place}: {what}{names}"


CelField = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN), AfterValidator(_valid_expression)]
"""A field of an expression that is true or false."""
