"""What the tests of expectations share: entries from plain data, and answers to judge."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from jobs.expectations import Expectation, judge
from jobs.runs import Failure, Observation, Phases

ENTRIES: TypeAdapter[tuple[Expectation, ...]] = TypeAdapter(tuple[Expectation, ...])


def entries(*expect: dict[str, Any]) -> tuple[Expectation, ...]:
    return ENTRIES.validate_python(expect)


def answer(body: str | bytes = b"", status: int = 200, total_ms: float = 10.0, **more: Any) -> Observation:
    content = body.encode() if isinstance(body, str) else body
    return Observation(Phases(total_ms=total_ms), status, body=content, **more)


def failures(seen: Observation, *expect: dict[str, Any]) -> tuple[Failure, ...]:
    return judge(seen, entries(*expect))


def failure(seen: Observation, *expect: dict[str, Any]) -> Failure:
    """The only one."""
    (one,) = failures(seen, *expect)
    return one
