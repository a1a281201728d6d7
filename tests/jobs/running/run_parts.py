"""A check that follows a script, a listener that remembers, and a runner made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.checks.clock import Phase
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.retry_budget import RetryBudget
from jobs.running.runner import Runner
from jobs.runs import ErrorClass, Observation, Phases, Run, Ticket
from jobs.runs.events import AttemptRetried, RunFinished, RunStarted
from jobs.targets import Target
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.virtual_time import START, LoopClock

URL = "https://checkout.internal/health"


def answer(status: int = 200, **more: Any) -> Observation:
    return Observation(Phases(total_ms=12.0), status=status, **more)


def broken(error: ErrorClass, message: str = "It broke.") -> Observation:
    return Observation(Phases(), error=error, message=message)


REFUSED = broken(ErrorClass.CONNECTION_REFUSED, "checkout.internal:443 refused the connection.")


@dataclass
class Hang:
    """Enter a phase and take this long."""

    phase: Phase | None
    seconds: float = 1000.0


Step = Observation | Hang | BaseException | Callable[[], Any]


@dataclass
class ScriptedCheck:
    """Does one step of the script an attempt, the last one for ever."""

    steps: list[Step]
    calls: list[AttemptContext] = field(default_factory=list)

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        self.calls.append(call)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, Hang):
            if step.phase is not None:
                call.clock.enter(step.phase)
            await LoopClock().sleep(step.seconds)
            return answer()
        if callable(step):
            await step()
            return answer()
        return step

    async def aclose(self) -> None:
        """Holds nothing."""


@dataclass
class Heard:
    """A listener that remembers."""

    started: list[RunStarted] = field(default_factory=list)
    retried: list[AttemptRetried] = field(default_factory=list)
    finished: list[RunFinished] = field(default_factory=list)
    given_up: list[tuple[Ticket, str]] = field(default_factory=list)

    def run_started(self, event: RunStarted) -> None:
        self.started.append(event)

    def attempt_retried(self, event: AttemptRetried) -> None:
        self.retried.append(event)

    def run_finished(self, event: RunFinished) -> None:
        self.finished.append(event)

    def dead_lettered(self, ticket: Ticket, reason: str) -> None:
        self.given_up.append((ticket, reason))


def job(**more: Any) -> JobDefinition:
    """A job of one HTTP request, retried without jitter."""
    fields: dict[str, Any] = {
        "name": "checkout",
        "check": {"url": URL},
        "timeout": {"attempt": "5s", "run": "20s"},
        "retry": {"jitter": "none"},
        "tags": {"team": "payments"},
    }
    return JobDefinition.model_validate(fields | more)


TICKET = Ticket.scheduled("checkout", START, "g1")


class Stage:
    """A runner and all that surrounds it. Each circuit store, listener and redactor can be looked at."""

    def __init__(
        self,
        *steps: Step,
        states: MemoryStates | None = None,
        budget: RetryBudget | None = None,
        drawn: float = 0.5,
    ) -> None:
        self.check = ScriptedCheck(list(steps))
        self.heard = Heard()
        self.redactor = Redactor()
        self.states = states or MemoryStates()
        self.circuits = CircuitBreakers(self.states)
        self.clock = LoopClock()
        self.runner = Runner(
            {"http": self.check},
            self.circuits,
            self.heard,
            self.clock,
            self.redactor,
            random=lambda: drawn,
            budget=budget,
        )

    async def run(self, definition: JobDefinition | None = None) -> Run:
        return await self.runner.run(definition or job(), TICKET)
