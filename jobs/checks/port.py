"""What a check is: it asks a target once and says what it saw. Each kind is a file beside this one."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any, Literal, NamedTuple, Protocol

from jobs.checks.body_memory import BodyMemory, BodyReservation
from jobs.checks.clock import PhaseClock
from jobs.fast_frozen import value
from jobs.ports import CredentialRefresh
from jobs.redaction.value_holders import RunSecrets
from jobs.runs import Observation

UNLIMITED_BODY_MEMORY = BodyMemory(sys.maxsize)
"""Of calls that are made without a memory of their own."""


class Credential(NamedTuple):
    """A secret by its name, or an access token of the app's identity by its scope."""

    kind: Literal["secret", "scope"]
    name: str


@value(frozen=True, slots=True)
class AttemptContext:
    """One attempt's surroundings."""

    run_id: str
    """Sent as Idempotency-Key."""
    attempt: int
    clock: PhaseClock
    credential_refreshes: list[Callable[[], Awaitable[CredentialRefresh]]] = field(default_factory=list, repr=False)
    """One for each secret and token that the check sends: looks for another value, should the target refuse this one.
    The check adds them, see fetching.py."""
    values: RunSecrets = field(default_factory=RunSecrets, repr=False)
    """Holds what must not be shown as long as the run goes on: what the check gets and saves."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Those of the job: a secret may be for jobs with certain tags alone."""
    inherited_credentials: frozenset[Credential] = frozenset()
    """With what earlier steps got the values and the session that this request sends, which bind these, too."""
    inherited_texts: tuple[str, ...] = field(default=(), repr=False)
    """These values: another origin to which it is redirected does not get them."""
    body_reservation: BodyReservation = field(
        default_factory=lambda: UNLIMITED_BODY_MEMORY.open_reservation("", ""), repr=False
    )
    """The memory that bodies of this attempt may take."""


class Check(Protocol):
    async def observe(self, target: Any, call: AttemptContext) -> Observation:
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
