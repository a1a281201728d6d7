"""What a check is: it asks a target once and says what it saw. Each kind is a file beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jobs.checks.clock import PhaseClock
from jobs.runs import Observation
from jobs.targets import Target


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt's surroundings."""

    run_id: str
    """Sent as Idempotency-Key."""
    attempt: int
    clock: PhaseClock


class Check(Protocol):
    async def observe(self, target: Target, call: Call) -> Observation:
        """Ask the target once.

        What the target (or a secret, or a token) does wrong comes back as the observation's `error` and `message`.
        Is cancelled when the attempt's deadline passes; `call.clock` then tells the phase.
        """
        ...

    async def aclose(self) -> None:
        """Close connections and clients."""
        ...
