"""What a step leaves behind: its facts, its error, its failures. Called by step_sequence.py. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.checks.port import AttemptContext
from jobs.runs import ErrorClass, Failure, Observation, Severity
from jobs.targets.steps import Step


def build_step_facts(
    step: Step, error: ErrorClass | None, status: int | None, took_ms: float, *, cleanup: bool = False
) -> dict[str, Any]:
    outcome = "succeeded" if error is None else "timed_out" if error.is_timeout else "failed"
    facts = {"name": step.name, "outcome": outcome, "status": status, "ms": round(took_ms, 3)}
    if error is not None:
        facts["error"] = error.value
    if cleanup:
        facts["cleanup"] = True
    return facts


def with_message(seen: Observation, message: str, error: ErrorClass | None = None) -> Observation:
    return replace(seen, error=error or seen.error, message=message)


def step_failed(call: AttemptContext, message: str) -> Observation:
    text = message[:1].upper() + message[1:]
    return Observation(call.clock.snapshot(), error=ErrorClass.STEP_FAILED, message=text)


def name_failure(step: Step, failure: Failure) -> Failure:
    return Failure(f"{step.name}: {failure.expectation}", failure.expected, failure.observed, failure.severity)


def cleanup_failure(step: Step, message: str) -> Failure | None:
    if not message:
        return None
    return Failure(f"cleanup {step.name}", "completed cleanup", message.rstrip("."), Severity.DEGRADED)
