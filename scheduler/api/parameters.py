"""What routes read from a request: the services, paging, waits, and nothing that they do not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, get_origin

from fastapi import Depends, Path, Query, Request
from fastapi.routing import APIRoute

from jobs.definition import NAME_PATTERN
from jobs.durations import format_duration, parse_duration
from jobs.problems import printable, unknown_key, wrong_choice
from scheduler.api.problems import Invalid, InvalidRequest
from scheduler.services import Services
from scheduler.stores.runs import RUN_FILTERS

LONGEST_WAIT = 200.0
"""Seconds. The Functions front end cuts an answer off at 230."""

_LONGEST_WAIT_TEXT = format_duration(LONGEST_WAIT)
DURATION_FORM = r"^\s*(?:[0-9]+(?:\.[0-9]+)?(?:[mM]?[sS]|[mMhHdD]))+\s*$"
"""How a duration is written, for the schema; jobs.durations reads it."""

FUNCTION_KEY = "code"
"""The Functions host takes its key from this parameter (or from a header) and hands it on."""


async def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


async def only_known_parameters(request: Request) -> None:
    """Refuse a query that the route does not read: a misspelt filter, silently left out, gives wrong answers."""
    route = request.scope["route"]
    parameters = route.dependant.query_params if isinstance(route, APIRoute) else []
    known = [parameter.alias for parameter in parameters]
    lists = {parameter.alias for parameter in parameters if get_origin(parameter.field_info.annotation) is list}
    given = Counter(name for name, _ in request.query_params.multi_items() if name != FUNCTION_KEY)
    errors = [*_unknown(given, known), *(_repeated(name) for name in known if given[name] > 1 and name not in lists)]
    if errors:
        raise InvalidRequest(*errors)


def _unknown(given: Iterable[str], known: list[str]) -> Iterable[Invalid]:
    for name in given:
        if name not in known:
            message, hint = unknown_key(name, known)
            message = message.replace("unknown key", "unknown parameter")
            yield Invalid(where=f"query.{printable(name)}", message=message, hint=hint or None)


def _repeated(name: str) -> Invalid:
    return Invalid(where=f"query.{name}", message="is given more than once")


def seconds_to_wait(wait: str | None) -> float:
    """The parameter `wait` in seconds; 0 without it. Raises InvalidRequest."""
    if wait is None:
        return 0.0
    try:
        if not wait.isascii():
            raise ValueError(f"{wait!r} is not a duration: write it in ASCII, like 10s")
        seconds = parse_duration(wait)
    except ValueError as error:
        raise InvalidRequest(Invalid(where="query.wait", message=printable(str(error), 200))) from None
    if seconds > LONGEST_WAIT:
        message = f"{printable(wait)} is too long: at most {_LONGEST_WAIT_TEXT}"
        raise InvalidRequest(Invalid(where="query.wait", message=message, hint="then ask for the run by its id"))
    return seconds


def known_outcome(outcome: str | None) -> str | None:
    """The parameter `outcome`. Raises InvalidRequest."""
    if outcome is not None and outcome not in RUN_FILTERS:
        message, hint = wrong_choice(outcome, RUN_FILTERS)
        raise InvalidRequest(Invalid(where="query.outcome", message=message, hint=hint))
    return outcome


Uses = Annotated[Services, Depends(services)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most")]
Continuation = Annotated[str | None, Query(max_length=500, description="From the page before, unchanged")]
JobName = Annotated[str, Path(description="The job's name")]
RunId = Annotated[str, Path(max_length=200, description="The run's id, `job@instant`")]
OfJob = Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only this job's")]
OfOutcome = Annotated[str | None, Query(description="Only these runs", json_schema_extra={"enum": list(RUN_FILTERS)})]
Wait = Annotated[
    str | None,
    Query(
        description=f"Answer with the finished run, if it ends within this time: 10s; at most {_LONGEST_WAIT_TEXT}",
        examples=["10s"],
        json_schema_extra={"type": ["string", "null"], "pattern": DURATION_FORM},
    ),
]
