"""The dependencies that all runs of a process share. Built by jobs.running.runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs.checks.body_memory import BodyMemory
from jobs.checks.port import Check
from jobs.judging import Judge
from jobs.ports import Clock, SelfChecks
from jobs.redaction import Redactor
from jobs.running.circuit_breaker.breakers import CircuitBreakers
from jobs.running.retries.retry_budget import RetryBudget
from jobs.runs.events import RunListener


@dataclass(frozen=True, slots=True)
class RunnerDependencies:
    """Shared by all runs of a process."""

    checks: Mapping[str, Check]
    circuits: CircuitBreakers
    listener: RunListener
    clock: Clock
    redactor: Redactor
    random: Callable[[], float]
    budget: RetryBudget
    bodies: BodyMemory
    judges: Judge
    self_checks: SelfChecks | None
