"""The judgement of an answer. Pure; called by the runner once for each attempt that got one."""

from __future__ import annotations

from collections.abc import Callable

from jobs.expectations.answer import Answer
from jobs.expectations.entries import Expectation, StatusIs, unexpected_status
from jobs.runs import Failure, Observation

_SUCCESS = ((200, 299),)


def _unchanged(text: str) -> str:
    return text


def judge(
    observation: Observation, expectations: tuple[Expectation, ...], redact: Callable[[str], str] = _unchanged
) -> tuple[Failure, ...]:
    """Every expectation that does not hold, in the order of the definition; empty when all do.

    Unless one of them is about the status, it must be a 2xx, if the answer has one at all. `redact` takes secrets out
    of a text; values pass through it before they are shortened, because half a secret is not recognised any more.
    """
    failures = []
    if observation.status is not None and not any(isinstance(entry, StatusIs) for entry in expectations):
        failures.append(unexpected_status(observation.status, _SUCCESS, "2xx"))
    if expectations:
        answer = Answer(observation, redact)
        failures.extend(entry.unmet(answer) for entry in expectations)
    return tuple(failure for failure in failures if failure is not None)
