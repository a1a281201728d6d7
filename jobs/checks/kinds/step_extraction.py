"""What a step keeps of an answer for the steps behind it. Called by steps.py. Pure."""

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
"""Of all secret values that an attempt saves: each is looked for in texts in some hundred forms."""

MOST_SECRET_LINES = 200
"""Of the same: each line is looked for on its own, too."""

_INSTEAD = (
    "save less of the answer (by a narrower JSONPath or a regex), or write `secret: false` if the value may be shown"
)


class SavedValueLimits:
    """How much an attempt has saved so far."""

    def __init__(self) -> None:
        self._characters = self._secret_characters = self._secret_lines = 0

    def count_value(self, text: str, *, hides: bool) -> None:
        """Count a value, as text. Raises ExtractionError if it is one too many."""
        self._characters += len(text)
        if self._characters > MOST_SAVED_CHARACTERS:
            raise ExtractionError(
                f"with it the saved values would have {self._characters} characters; "
                f"at most {MOST_SAVED_CHARACTERS} are kept: save less of the answers"
            )
        if not hides:
            return
        self._secret_characters += len(text)
        if self._secret_characters > MOST_SECRET_CHARACTERS:
            raise ExtractionError(
                f"with it the saved secrets would have {self._secret_characters} characters; "
                f"at most {MOST_SECRET_CHARACTERS} are kept: {_INSTEAD}"
            )
        self._secret_lines += len(text.splitlines())
        if self._secret_lines > MOST_SECRET_LINES:
            raise ExtractionError(
                f"with it the saved secrets would have {self._secret_lines} lines; "
                f"at most {MOST_SECRET_LINES} are kept: {_INSTEAD}"
            )


def extract_value(source: ValueSource, answer: JudgedAnswer, cookies: httpx.Cookies | None = None) -> Any:
    """The value, a JSON one. Raises ExtractionError, OutOfTime. `cookies`: those of the sequence, for a FromCookie."""
    try:
        value = _select_value(source, answer, cookies)
    except (NotJson, LimitExceeded) as error:
        raise ExtractionError(f"{error}") from None
    if _is_longer(value, LONGEST_SAVED_VALUE):
        raise ExtractionError(f"the value has more than {LONGEST_SAVED_VALUE} characters")
    return value


def _is_longer(value: Any, most: int) -> bool:
    """Whether a JSON value has more characters as text, more or less; looks at no more of it than that."""
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
                raise ExtractionError(f"the answer has no header {name}")
            return value if pattern is None else _first_match(pattern, value, f"the header {name}", answer)
        case CookieSource(cookie=name):
            # The same name may be set for several paths: the newest counts.
            values = [cookie.value for cookie in (cookies.jar if cookies is not None else ()) if cookie.name == name]
            if not values or values[-1] is None:
                raise ExtractionError(f"no answer has set the cookie {name}")
            return values[-1]
        case BodySource(regex=pattern):
            return _first_match(pattern, answer.text, "the body", answer)


def _first_match(pattern: str, text: str, where: str, answer: JudgedAnswer) -> str:
    found = find_first(pattern, text)
    if found is None:
        raise ExtractionError(f"{answer.quote_text(pattern)} is not found in {where}, {answer.quote_text(text)}")
    return found
