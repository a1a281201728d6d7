"""What a step keeps of an answer for the steps behind it. Called by steps.py. Pure."""

from __future__ import annotations

from typing import Any

import httpx

from jobs.expectations.answer import Answer, NotJson
from jobs.expectations.patterns import TooMuchWork, find
from jobs.expectations.queries import select
from jobs.redaction import Redact
from jobs.runs import Observation
from jobs.targets.steps import FromBody, FromCookie, FromHeader, FromJson, Source

LONGEST = 64 * 1024
"""Characters of a value."""


class NothingToSave(Exception):
    """The answer has no such value; the message says what there is instead."""


def saved(source: Source, seen: Observation, cookies: httpx.Cookies, redact: Redact) -> Any:
    """The value, a JSON one. Raises NothingToSave."""
    answer = Answer(seen, redact)
    try:
        value = _value(source, seen, cookies, answer)
    except (NotJson, TooMuchWork) as error:
        raise NothingToSave(f"{error}") from None
    if isinstance(value, str) and len(value) > LONGEST:
        raise NothingToSave(f"the value has more than {LONGEST} characters")
    return value


def _value(source: Source, seen: Observation, cookies: httpx.Cookies, answer: Answer) -> Any:
    match source:
        case FromJson(json_=query):
            found = select(query, answer.json())
            if not found:
                raise NothingToSave(f"{query} selects nothing in the body")
            return found[0]
        case FromHeader(header=name, regex=pattern):
            value = seen.headers.get(name.lower())
            if value is None:
                raise NothingToSave(f"the answer has no header {name}")
            return value if pattern is None else _found(pattern, value, f"the header {name}", answer)
        case FromCookie(cookie=name):
            # The same name may be set for several paths: the newest counts.
            values = [cookie.value for cookie in cookies.jar if cookie.name == name]
            if not values or values[-1] is None:
                raise NothingToSave(f"no answer has set the cookie {name}")
            return values[-1]
        case FromBody(regex=pattern):
            return _found(pattern, answer.text, "the body", answer)


def _found(pattern: str, text: str, where: str, answer: Answer) -> str:
    found = find(pattern, text)
    if found is None:
        raise NothingToSave(f"{answer.shown(pattern)} is not found in {where}, {answer.shown(text)}")
    return found
