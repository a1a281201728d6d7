"""The state of a circuit, and the admission of a run. Pure; all instants are aware UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jobs.formats.instants import format_instant
from jobs.running.circuit_breaker.windows import EMPTY_WINDOW, CircuitWindow


class CircuitCondition(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class ManualOverride:
    """An operator's override that holds the circuit open or closed. All instants are aware UTC."""

    is_open: bool
    since: datetime
    until: datetime | None = None
    """Its end, exclusive; None: until it is reset."""
    reason: str = ""
    source: str = ""
    """Where it was set, such as `over the API`."""

    def is_active(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def __str__(self) -> str:
        """Format as `held open until 2026-03-01 13:00:00Z (set over the API at 2026-03-01 12:00:00Z: deployment)`."""
        end = f"until {format_instant(self.until)}" if self.until is not None else "until it is reset"
        origin = f"set {self.source} at {format_instant(self.since)}" + (f": {self.reason}" if self.reason else "")
        return f"held {'open' if self.is_open else 'closed'} {end} ({origin})"


@dataclass(frozen=True, slots=True)
class CircuitState:
    """The complete state of a circuit. All instants are aware UTC."""

    condition: CircuitCondition = CircuitCondition.CLOSED
    period: int = 0
    """Number of changes of condition."""
    since: datetime | None = None
    """When the circuit first opened in this outage; None while closed."""
    opened_at: datetime | None = None
    """When it last opened: `open_for` counts from here."""
    opened_reason: str = ""
    """Why it opened, such as `5 failures in a row`."""
    consecutive_failures: int = 0
    """Consecutive failures, while closed."""
    window: CircuitWindow = EMPTY_WINDOW
    """The runs of the window, while closed; only for a policy with rates."""
    succeeded: int = 0
    """Successful probes, while half-open."""
    failed: int = 0
    """Failed probes, while half-open."""
    slow: int = 0
    """Slow probes, successful or failed, while half-open."""
    leases: tuple[datetime, ...] = ()
    """When the lease of each probe in flight expires, while half-open."""
    override: ManualOverride | None = None
    """The last override; it may have ended."""

    def active_override(self, now: datetime) -> ManualOverride | None:
        """Return the override in force."""
        return self.override if self.override is not None and self.override.is_active(now) else None


CLOSED_CIRCUIT = CircuitState()

UNCOUNTED_PERIOD = -1
"""The period of runs whose results are not counted."""


@dataclass(frozen=True, slots=True)
class CircuitPermit:
    """The admission of a run, presented with its result: the period and, for a probe, its lease."""

    period: int
    lease: datetime | None = None
    """When a probe's lease expires. Probes with the same expiry are interchangeable."""


@dataclass(frozen=True, slots=True)
class CircuitAdmission:
    """The decision about a run. `state` is the state after it, to be stored if it has changed."""

    state: CircuitState
    permit: CircuitPermit | None
    reason: str = ""
    """Why the run is rejected, since when, and when the next probe is admitted."""

    @property
    def is_allowed(self) -> bool:
        return self.permit is not None

    @property
    def is_probe(self) -> bool:
        return self.permit is not None and self.permit.lease is not None
