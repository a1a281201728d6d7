"""What a step keeps of an answer for the steps behind it. Called by steps.py. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobs.checks.errors import ExtractionError
from jobs.expectations.answer import Answer, NotJson
from jobs.expectations.patterns import TooMuchWork, find
from jobs.expectations.queries import select
from jobs.targets.steps import FromBody, FromCookie, FromHeader, FromJson, Source

if TYPE_CHECKING:
    import httpx

LONGEST = 64 * 1024
"""Characters of a value, a JSON one as text."""

MOST_CHARACTERS = 1024 * 1024
"""Of all values that an attempt saves."""

MOST_SECRET_CHARACTERS = 16 * 1024
"""Of all secret values that an attempt saves: each is looked for in texts in some hundred forms."""

MOST_SECRET_LINES = 200
"""Of the same: each line is looked for on its own, too."""

_INSTEAD = (
    "save less of the answer (by a narrower JSONPath or a regex), or write `secret: false` if the value may be shown"
)


class SavedSizes:
    """How much an attempt has saved so far."""

    def __init__(self) -> None:
        self._characters = self._secret_characters = self._secret_lines = 0

    def add(self, text: str, *, hides: bool) -> None:
        """Count a value, as text. Raises ExtractionError if it is one too many."""
        self._characters += len(text)
        if self._characters > MOST_CHARACTERS:
            raise ExtractionError(
                f"with it the saved values would have {self._characters} characters; "
                f"at most {MOST_CHARACTERS} are kept: save less of the answers"
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


def saved(source: Source, answer: Answer, cookies: httpx.Cookies | None = None) -> Any:
    """The value, a JSON one. Raises ExtractionError, OutOfTime. `cookies`: those of the sequence, for a FromCookie."""
    try:
        value = _value(source, answer, cookies)
    except (NotJson, TooMuchWork) as error:
        raise ExtractionError(f"{error}") from None
    if _is_longer(value, LONGEST):
        raise ExtractionError(f"the value has more than {LONGEST} characters")
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


def _value(source: Source, answer: Answer, cookies: httpx.Cookies | None) -> Any:
    match source:
        case FromJson(json_=query):
            found = select(query, answer.json())
            if not found:
                raise ExtractionError(f"{query} selects nothing in the body")
            return found[0]
        case FromHeader(header=name, regex=pattern):
            value = answer.seen.headers.get(name.lower())
            if value is None:
                raise ExtractionError(f"the answer has no header {name}")
            return value if pattern is None else _found(pattern, value, f"the header {name}", answer)
        case FromCookie(cookie=name):
            # The same name may be set for several paths: the newest counts.
            values = [cookie.value for cookie in (cookies.jar if cookies is not None else ()) if cookie.name == name]
            if not values or values[-1] is None:
                raise ExtractionError(f"no answer has set the cookie {name}")
            return values[-1]
        case FromBody(regex=pattern):
            return _found(pattern, answer.text, "the body", answer)


def _found(pattern: str, text: str, where: str, answer: Answer) -> str:
    found = find(pattern, text)
    if found is None:
        raise ExtractionError(f"{answer.shown(pattern)} is not found in {where}, {answer.shown(text)}")
    return found
