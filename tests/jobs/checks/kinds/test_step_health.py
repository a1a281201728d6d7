"""A step can expect a health document: its entries are those of the attempt."""

from __future__ import annotations

from typing import Any

from jobs.checks.clock import PhaseClock
from jobs.checks.kinds.steps import StepsCheck
from jobs.checks.port import AttemptContext
from jobs.runs import ErrorClass, Observation
from jobs.runs.details import EntryStatus
from jobs.targets import StepsTarget
from tests.jobs.checks.http_check import open_http_check
from tests.parts.http_target import HttpTarget


async def observed(target: HttpTarget, code: int, **component: Any) -> Observation:
    """Sign in, then read a health document with one component."""
    target.on("/health", code, body={"status": component["status"], "components": {"db": component}})
    steps = [
        {"name": "sign in", "url": f"{target.url}/session"},
        {"name": "health", "url": "/health", "expect": [{"health": "spring"}]},
    ]
    async with open_http_check() as driver:
        check = StepsCheck(driver.check, driver.redactor)
        definition = StepsTarget.model_validate({"kind": "steps", "steps": steps})
        return await check.observe(definition, AttemptContext("job@1", 1, PhaseClock()))


async def test_a_step_that_fails_names_the_entry_and_reports_the_document(target: HttpTarget) -> None:
    seen = await observed(target, 503, status="DOWN", details={"error": "refused"})
    assert seen.error is ErrorClass.UNEXPECTED_STATUS
    assert seen.message == ("Step 2 of 2 (health): Answered 503 Service Unavailable: DOWN because of db (refused).")
    assert seen.health is not None
    assert [(entry.name, entry.status) for entry in seen.health.entries] == [("db", EntryStatus.DOWN)]


async def test_a_step_that_succeeds_reports_the_document(target: HttpTarget) -> None:
    seen = await observed(target, 200, status="UP")
    assert seen.error is None
    assert seen.health is not None
    assert [(entry.name, entry.status) for entry in seen.health.entries] == [("db", EntryStatus.UP)]
