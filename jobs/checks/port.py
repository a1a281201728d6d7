"""What a check is: it asks a target once and says what it saw. Each kind is a file beside this one."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any, Literal, NamedTuple, Protocol

from jobs.checks.body_memory import BodyMemory, BodyRoom
from jobs.checks.clock import PhaseClock
from jobs.ports import Renewal
from jobs.redaction.holding import RunValues
from jobs.runs import Observation
from jobs.values import value

UNLIMITED = BodyMemory(sys.maxsize)
"""Of calls that are made without a memory of their own."""


class Credential(NamedTuple):
    """A secret by its name, or an access token of the app's identity by its scope."""

    kind: Literal["secret", "scope"]
    name: str


@value(frozen=True, slots=True)
class Call:
    """One attempt's surroundings."""

    run_id: str
    """Sent as Idempotency-Key."""
    attempt: int
    clock: PhaseClock
    used: list[Callable[[], Awaitable[Renewal]]] = field(default_factory=list, repr=False)
    """One for each secret and token that the check sends: looks for another value, should the target refuse this one.
    The check adds them, see fetching.py."""
    values: RunValues = field(default_factory=RunValues, repr=False)
    """Holds what must not be shown as long as the run goes on: what the check gets and saves."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Those of the job: a secret may be for jobs with certain tags alone."""
    carried: frozenset[Credential] = frozenset()
    """With what earlier steps got the values and the session that this request sends, which bind these, too."""
    carried_texts: tuple[str, ...] = field(default=(), repr=False)
    """These values: another origin to which it is redirected does not get them."""
    room: BodyRoom = field(default_factory=lambda: UNLIMITED.room("", ""), repr=False)
    """The memory that bodies of this attempt may take."""


class Check(Protocol):
    async def observe(self, target: Any, call: Call) -> Observation:
        """Ask the target, one of its kind, once.

        What the target (or a secret, or a token) does wrong comes back as the observation's `error` and `message`.
        Is cancelled when the attempt's deadline passes; `call.clock` then tells the phase.
        """
        ...

    def prepare(self, target: Any) -> None:
        """Load what an observation of this target needs (modules, TLS contexts), so that no attempt is measured with
        it. Called before the first run of the target, maybe in another thread, and maybe again; raises nothing."""
        ...

    async def aclose(self) -> None:
        """Close connections and clients."""
        ...
