"""JSONPath queries (RFC 9535): validated at load, compiled once for each text, with limits of time and nodes.

Used by the entry `json` and by jobs.checks for values that steps save. Neither the query nor the document is trusted:
a query can traverse the document many times (`$[?$..a]`), and a pattern in a filter can come from the document. So the
library gets a document that checks the deadline while it is traversed, and our filter functions for patterns. Both work
with versions 1.0 and 2.0 of the library, which share only their public interface.

The patterns are I-Regexp (RFC 9485), whose grammar is checked and translated for `regex`: at load for literal patterns
of a query, and at run time for patterns from a document. Literal patterns are the second arguments of `match` and
`search`, found in the text of a valid query, because the versions of the library have different syntax trees.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from jobs.expectations.budget import ComputeAllowance
from jobs.expectations.engines.regular_expressions import (
    MAX_PATTERN,
    CompiledCache,
    InvalidPattern,
    LimitExceeded,
    PatternTooLarge,
    compile_pattern,
    search_within_limit,
)

if TYPE_CHECKING:
    import regex
    from jsonpath_rfc9535 import JSONPathQuery

_ESCAPED = r"\\[()*+.?\[\\\]^nrt{|}-]"
_CATEGORY = r"\\[pP]\{(?:L[lmotu]?|M[cen]?|N[dlo]?|P[c-fios]?|Z[lps]?|S[ckmo]?|C[cfno]?)\}"
_IN_CLASS = rf"(?:[^\[\\\]\-\ud800-\udfff]|{_ESCAPED})"
_MEMBER = rf"(?:{_IN_CLASS}(?:-{_IN_CLASS})?|{_CATEGORY})"

_PATTERN_TOKEN = re.compile(
    rf"""
      (?P<atom>    [^()*+.?\[\\\]{{|}}\ud800-\udfff] | {_ESCAPED} | {_CATEGORY})
    | (?P<dot>     \.)
    | (?P<set>     \[(?!\^\])\^?(?:-|{_MEMBER}){_MEMBER}*-?\])
    | (?P<count>   [*+?] | \{{[0-9]+(?:,[0-9]*)?\}})
    | (?P<open>    \()
    | (?P<close>   \))
    | (?P<branch>  \|)
    """,
    re.VERBOSE | re.DOTALL,
)

_REPLACEMENTS = {
    "\\d": "write [0-9]",
    "\\w": "write [A-Za-z0-9_]",
    "\\s": r"write [ \t\n\r]",
    "\\D": "write [^0-9]",
    "\\W": "write [^A-Za-z0-9_]",
    "\\S": r"write [^ \t\n\r]",
    "\\b": "word boundaries are not supported",
    "(?": "write a group as (...)",
}


class InvalidIRegexp(ValueError):
    """The pattern is not an I-Regexp; the message shows the invalid part and the replacement."""


def translate_iregexp(pattern: str) -> str:
    """Translate an I-Regexp to an equivalent pattern of `regex` (VERSION1). Raises InvalidIRegexp."""
    parts: list[str] = []
    at = depth = 0
    may_repeat = False
    while at < len(pattern):
        token = _PATTERN_TOKEN.match(pattern, at)
        if token is None:
            raise _invalid_part(pattern, at)
        kind, text = token.lastgroup, token[0]
        depth += {"open": 1, "close": -1}.get(str(kind), 0)
        if depth < 0 or (kind == "count" and not may_repeat):
            raise _invalid_part(pattern, at)
        may_repeat = kind in ("atom", "dot", "set", "close")
        parts.append(_translate_token(str(kind), text))
        at = token.end()
    if depth:
        raise InvalidIRegexp("a group is not closed: add )")
    return "".join(parts)


def _translate_token(kind: str, text: str) -> str:
    if kind == "dot":
        return r"[^\n\r]"
    # Two of these characters in a set are an operator of `regex`: [a&&b] is an intersection.
    return re.sub(r"(?<!\\)[&|~]", r"\\\g<0>", text) if kind == "set" else text


def _invalid_part(pattern: str, at: int) -> InvalidIRegexp:
    two = pattern[at : at + 2] if pattern[at] != "?" or at == 0 else pattern[at - 1 : at + 1]
    shown = two if two in _REPLACEMENTS or two.startswith("\\") else pattern[at]
    hint = _REPLACEMENTS.get(two)
    if shown == "[":
        hint = r"in a set, escape [ ] \ and - with a backslash; \d, \w and \s are not supported"
    elif hint is None:
        hint = f"write \\{shown} for the character itself" if shown in "(){}]*+?" else "RFC 9485 does not support it"
    return InvalidIRegexp(f"{shown!r} at character {at + 1} is not valid there: {hint}")


_QUERY_TOKEN = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[A-Za-z_][\w-]*|\s+|.", re.DOTALL)
_FUNCTIONS = frozenset({"match", "search"})
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


def literal_patterns(query: str) -> Iterator[str]:
    """Yield the patterns in their order, unescaped."""
    tokens = [token for token in _QUERY_TOKEN.findall(query) if not token.isspace()]
    for index in range(len(tokens) - 1):
        if tokens[index] in _FUNCTIONS and tokens[index + 1] == "(":
            argument = _second_argument(tokens[index + 2 :])
            if len(argument) == 1 and argument[0][0] in "'\"":
                yield _read(argument[0])


def _second_argument(tokens: list[str]) -> list[str]:
    arguments: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        if token in _CLOSE:
            if depth == 0:
                break
            depth -= 1
        if token in _OPEN:
            depth += 1
        if token == "," and depth == 0:
            arguments.append([])
        else:
            arguments[-1].append(token)
    return arguments[1] if len(arguments) > 1 else []


_OTHER_QUOTES = {"\\'": "'", '"': '\\"'}


def _read(literal: str) -> str:
    inner = literal[1:-1]
    if literal[0] == "'":
        # JSON allows only double quotes.
        inner = re.sub(r"\\.|\"", lambda found: _OTHER_QUOTES.get(found[0], found[0]), inner, flags=re.DOTALL)
    text: str = json.loads(f'"{inner}"', strict=False)
    return text


MAX_SELECTED_NODES = 10_000
SELECT_SECONDS = 0.25
"""Timeout of one query: it blocks the thread."""

_STEPS = 256
"""Steps through a document between two checks of the clock."""
_MAX_CHARACTERS_HELD = 400_000
"""Characters of all cached queries, at about 160 bytes each."""
_MAX_ELEMENTS_HELD = 50_000
"""Elements of the cached patterns in filters, which can come from documents; see pattern_size."""

_GOING_THROUGH = ("?", "..", "*", ":")
"""A query without any of these follows one path through the document, and is fast."""


class _SelectionDeadline:
    """The deadline of one selection."""

    def __init__(self) -> None:
        self._allowance = ComputeAllowance(SELECT_SECONDS)
        self._steps = _STEPS

    def step(self, count: int = 1) -> None:
        """Raises LimitExceeded, BudgetExceeded."""
        self._steps -= count
        if self._steps <= 0:
            self._steps = _STEPS
            if self._allowance.remaining <= 0:
                raise self._allowance.timeout_error(LimitExceeded("it takes too long: make the path more specific"))


_current_deadline: ContextVar[_SelectionDeadline] = ContextVar("deadline")
"""For the filter functions, because all selections share them."""


class _WatchedDict(dict[str, Any]):
    """An object of the document. Its values are wrapped when they are read."""

    def __init__(self, plain: dict[str, Any], deadline: _SelectionDeadline) -> None:
        super().__init__(plain)
        self.plain, self.deadline = plain, deadline

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        for key, value in self.plain.items():
            self.deadline.step()
            yield key, _wrap(value, self.deadline)

    def __getitem__(self, key: str) -> Any:
        return _wrap(self.plain[key], self.deadline)

    def __eq__(self, other: object) -> bool:
        self.deadline.step(_STEPS)
        return bool(self.plain == _plain(other))

    __hash__ = None


class _WatchedList(list[Any]):
    """An array of the document. Its items are wrapped when they are read."""

    def __init__(self, plain: list[Any], deadline: _SelectionDeadline) -> None:
        super().__init__(plain)
        self.plain, self.deadline = plain, deadline

    def __iter__(self) -> Iterator[Any]:
        for value in self.plain:
            self.deadline.step()
            yield _wrap(value, self.deadline)

    def __getitem__(self, index: Any) -> Any:
        found = self.plain[index]
        return _WatchedList(found, self.deadline) if isinstance(index, slice) else _wrap(found, self.deadline)

    def __eq__(self, other: object) -> bool:
        self.deadline.step(_STEPS)
        return bool(self.plain == _plain(other))

    __hash__ = None


def _wrap(value: Any, deadline: _SelectionDeadline) -> Any:
    if isinstance(value, dict):
        return _WatchedDict(value, deadline)
    return _WatchedList(value, deadline) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    return value.plain if isinstance(value, (_WatchedDict, _WatchedList)) else value


def _compile_or_none(pattern: str) -> tuple[regex.Pattern[str] | None, int]:
    """Return the pattern and its size; None if it is not an I-Regexp and so matches nothing. Raises LimitExceeded."""
    if len(pattern) > MAX_PATTERN:
        raise LimitExceeded(f"a pattern in it has more than {MAX_PATTERN} characters")
    try:
        return _compile(pattern)
    except InvalidIRegexp:
        return None, 1


_patterns: CompiledCache[regex.Pattern[str] | None] = CompiledCache(_compile_or_none, _MAX_ELEMENTS_HELD)


def _compile(pattern: str) -> tuple[regex.Pattern[str], int]:
    """Returns the pattern and its size. Raises InvalidIRegexp, LimitExceeded."""
    import regex

    try:
        return compile_pattern(translate_iregexp(pattern), regex.VERSION1)
    except PatternTooLarge as error:
        raise LimitExceeded(f"a pattern in it is too large: {error}") from None
    except InvalidPattern as error:
        if error.is_too_deep:
            raise LimitExceeded("a pattern in it is nested too deeply") from None
        raise InvalidIRegexp(str(error)) from None


def _matches_pattern(text: object, pattern: object, *, whole: bool) -> bool:
    deadline = _current_deadline.get()
    deadline.step(_STEPS)
    if (
        not isinstance(text, str)
        or not isinstance(pattern, str)
        or (compiled := _patterns.get_compiled(pattern)) is None
    ):
        return False
    find = compiled.fullmatch if whole else compiled.search
    return search_within_limit(find, text, LimitExceeded("a pattern in it takes too long: simplify it")) is not None


@lru_cache(1)
def _environment() -> Any:
    import jsonpath_rfc9535

    environment: Any = jsonpath_rfc9535.JSONPathEnvironment()
    # Versions 2.0 and 1.0
    functions = environment.functions if hasattr(environment, "functions") else environment.function_extensions
    for name, whole in (("match", True), ("search", False)):
        functions[name] = _bound_function(type(functions[name]), whole)()
    return environment


def _bound_function(function: type, whole: bool) -> type:
    """Make a subclass of the library's function, for its types, with our bounded search."""

    def find(_: object, text: object, pattern: object) -> bool:
        return _matches_pattern(text, pattern, whole=whole)

    return type(f"Bounded{function.__name__}", (function,), {"__call__": find})


def _compile_query(query: str) -> tuple[JSONPathQuery, int]:
    import jsonpath_rfc9535

    try:
        compiled: JSONPathQuery = _environment().compile(query)
    except OverflowError:  # the library parses an integer such as 1e400 as a float
        raise jsonpath_rfc9535.JSONPathError("a number in it is too large") from None
    return compiled, len(query)


_queries = CompiledCache(_compile_query, _MAX_CHARACTERS_HELD)


def select_values(query: str, document: Any) -> list[Any]:
    """Return the values that the query selects in a JSON document. Raises LimitExceeded, BudgetExceeded."""
    import jsonpath_rfc9535

    deadline = _SelectionDeadline()
    token = _current_deadline.set(deadline)
    if any(sign in query for sign in _GOING_THROUGH):
        document = _wrap(document, deadline)
    values: list[Any] = []
    try:
        for node in _queries.get_compiled(query).finditer(document):
            deadline.step()
            values.append(_plain(node.value))
            if len(values) > MAX_SELECTED_NODES:
                raise LimitExceeded(f"it selects more than {MAX_SELECTED_NODES} values: make the path more specific")
    except (jsonpath_rfc9535.JSONPathError, RecursionError):
        raise LimitExceeded("the document is nested too deeply") from None
    finally:
        _current_deadline.reset(token)
    return values


def _valid_query(query: str) -> str:
    import jsonpath_rfc9535

    try:
        _queries.get_compiled(query)
    except (jsonpath_rfc9535.JSONPathError, RecursionError) as error:
        reason = str(error.args[0]) if error.args else "invalid syntax"
        hint = "" if query.startswith("$") else "; start it with $, as in $.status"
        raise ValueError(f"{query!r} is not a JSONPath (RFC 9535): {reason}{hint}") from None
    for pattern in literal_patterns(query):
        try:
            _compile(pattern)
        except InvalidIRegexp as error:
            raise ValueError(f"the pattern {pattern!r} in {query!r} is not an I-Regexp (RFC 9485): {error}") from None
        except LimitExceeded as error:
            raise ValueError(f"{query!r} cannot be used: {error}") from None
    return query


JsonPathField = Annotated[str, Field(max_length=MAX_PATTERN), AfterValidator(_valid_query)]
"""A field of a JSONPath query."""
