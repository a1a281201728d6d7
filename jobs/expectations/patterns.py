"""Regular expressions and JSONPath queries: checked at load, compiled once for each text, bounded when used.

Called by entries.py. The libraries are imported with their first use: most jobs need neither.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    import regex
    from jsonpath_rfc9535 import JSONPathQuery

LONGEST = 1000
"""Characters of a pattern or a query."""

SEARCH_SECONDS = 0.1
"""A pattern that backtracks for ever is given up after this, for it holds everything else up."""

MOST_NODES = 10_000
SELECT_SECONDS = 0.25
"""The same for queries such as `$..*..*`."""

_KEPT = 16_384


class TooMuchWork(Exception):
    """A pattern or a query did not come to its end within its bounds."""


@lru_cache(_KEPT)
def _compiled_pattern(pattern: str) -> regex.Pattern[str]:
    import regex

    return regex.compile(pattern)


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text. Raises TooMuchWork."""
    try:
        return _compiled_pattern(pattern).search(text, timeout=SEARCH_SECONDS) is not None
    except TimeoutError:
        raise TooMuchWork(f"no decision within {SEARCH_SECONDS * 1000:.0f} ms: make the pattern simpler") from None


def _valid_pattern(pattern: str) -> str:
    import regex

    try:
        _compiled_pattern(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{pattern!r} is not a regular expression: {reason}") from None
    return pattern


@lru_cache(_KEPT)
def _compiled_query(query: str) -> JSONPathQuery:
    import jsonpath_rfc9535

    return jsonpath_rfc9535.compile(query)


def select(query: str, document: Any) -> list[Any]:
    """The values that the query selects in a JSON document. Raises TooMuchWork."""
    import jsonpath_rfc9535

    end = time.perf_counter() + SELECT_SECONDS
    found: list[Any] = []
    try:
        for node in _compiled_query(query).finditer(document):
            found.append(node.value)
            if len(found) > MOST_NODES or (len(found) % 256 == 0 and time.perf_counter() > end):
                raise TooMuchWork("it selects too much: make the path more exact")
    except (jsonpath_rfc9535.JSONPathError, RecursionError):
        raise TooMuchWork("the document is nested too deeply for it") from None
    return found


def _valid_query(query: str) -> str:
    import jsonpath_rfc9535

    try:
        _compiled_query(query)
    except (jsonpath_rfc9535.JSONPathError, RecursionError) as error:
        reason = str(error.args[0]) if error.args else "it cannot be read"
        hint = "" if query.startswith("$") else "; it starts with $, as in $.status"
        raise ValueError(f"{query!r} is not a JSONPath (RFC 9535): {reason}{hint}") from None
    return query


Pattern = Annotated[str, Field(max_length=LONGEST), AfterValidator(_valid_pattern)]
"""A field of a regular expression."""

Query = Annotated[str, Field(max_length=LONGEST), AfterValidator(_valid_query)]
"""A field of a JSONPath query."""
