"""Extract what a step saves of a response for later steps. Called by step_sequence.py and step_judgement.py. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobs.checks.errors import ExtractionError
from jobs.expectations.answer import JudgedAnswer, NotJson
from jobs.expectations.engines.jsonpath import select_values
from jobs.expectations.engines.regular_expressions import LimitExceeded, find_first
from jobs.targets.steps import BodySource, CookieSource, HeaderSource, JsonSource, ValueSource

if TYPE_CHECKING:
    import httpx

LONGEST_SAVED_VALUE = 64 * 1024
"""Characters of a value, a JSON one as text."""

MOST_SAVED_CHARACTERS = 1024 * 1024
"""Of all values that an attempt saves."""

MOST_SECRET_CHARACTERS = 16 * 1024
"""Of all secret values that an attempt saves: redaction searches texts for some hundred forms of each."""

MOST_SECRET_LINES = 200
"""Of the same: redaction searches for each line, too."""

_INSTEAD = "save less of the response (by a narrower JSONPath or a regex), or write `secret: false` if it may be shown"


class SavedValueLimits:
    """Counts how much an attempt has saved."""

    def __init__(self) -> None:
        self._characters = self._secret_characters = self._secret_lines = 0

    def count_value(self, text: str, *, hides: bool) -> None:
        """Count a value, as text. Raises ExtractionError if it exceeds a limit."""
        self._characters += len(text)
        if self._characters > MOST_SAVED_CHARACTERS:
            raise ExtractionError(
                f"with it the saved values would have {self._characters} characters; "
                f"the limit is {MOST_SAVED_CHARACTERS}: save less of the responses"
            )
        if not hides:
            return
        self._secret_characters += len(text)
        if self._secret_characters > MOST_SECRET_CHARACTERS:
            raise ExtractionError(
                f"with it the saved secrets would have {self._secret_characters} characters; "
                f"the limit is {MOST_SECRET_CHARACTERS}: {_INSTEAD}"
            )
        self._secret_lines += len(text.splitlines())
        if self._secret_lines > MOST_SECRET_LINES:
            raise ExtractionError(
                f"with it the saved secrets would have {self._secret_lines} lines; "
                f"the limit is {MOST_SECRET_LINES}: {_INSTEAD}"
            )


def extract_value(source: ValueSource, answer: JudgedAnswer, cookies: httpx.Cookies | None = None) -> Any:
    """Return the value, as JSON. `cookies`: those of the sequence, for a CookieSource. Raises ExtractionError,
    OutOfTime."""
    try:
        value = _select_value(source, answer, cookies)
    except (NotJson, LimitExceeded) as error:
        raise ExtractionError(f"{error}") from None
    if _is_longer(value, LONGEST_SAVED_VALUE):
        raise ExtractionError(f"the value has more than {LONGEST_SAVED_VALUE} characters")
    return value


def _is_longer(value: Any, most: int) -> bool:
    """Return whether a JSON value has more characters as text, approximately; reads no more of it than that."""
    left = [value]
    while left and most >= 0:
        match left.pop():
            case str() as text:
                most -= len(text)
            case list() as items:
                most -= 2 + len(items)
                left += items if most >= 0 else ()
            case dict() as entries:
                most -= 2 + 4 * len(entries)
                left += (*entries.keys(), *entries.values()) if most >= 0 else ()
            case number:
                most -= len(str(number))
    return most < 0


def _select_value(source: ValueSource, answer: JudgedAnswer, cookies: httpx.Cookies | None) -> Any:
    match source:
        case JsonSource(json_=query):
            found = select_values(query, answer.parse_json())
            if not found:
                raise ExtractionError(f"{query} selects nothing in the body")
            return found[0]
        case HeaderSource(header=name, regex=pattern):
            value = answer.observation.headers.get(name.lower())
            if value is None:
                raise ExtractionError(f"the response has no header {name}")
            return value if pattern is None else _first_match(pattern, value, f"the header {name}", answer)
        case CookieSource(cookie=name):
            # A cookie may be set for several paths: the newest counts.
            values = [cookie.value for cookie in (cookies.jar if cookies is not None else ()) if cookie.name == name]
            if not values or values[-1] is None:
                raise ExtractionError(f"no response has set the cookie {name}")
            return values[-1]
        case BodySource(regex=pattern):
            return _first_match(pattern, answer.text, "the body", answer)


def _first_match(pattern: str, text: str, where: str, answer: JudgedAnswer) -> str:
    found = find_first(pattern, text)
    if found is None:
        raise ExtractionError(f"{answer.quote_text(pattern)} is not found in {where}, {answer.quote_text(text)}")
    return found
