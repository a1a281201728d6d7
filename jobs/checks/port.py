"""The contract of a check: it observes a target once, and registers what it fetches or saves with the redactor.

Each kind is a module in jobs.checks.kinds. As it prepares a target, it loads what connections need on their first use:
libraries load some of it deep inside an attempt, and a test fails if something is missing here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol

from jobs.certificates import preload_certificate_reader
from jobs.checks.body_memory import BodyMemory, BodyReservation
from jobs.checks.clock import PhaseClock
from jobs.fast_frozen import fast_frozen
from jobs.policies.execution import TelemetryPolicy
from jobs.ports import CredentialRefresh
from jobs.redaction import Redactor
from jobs.redaction.forms import secret_forms
from jobs.redaction.value_holders import LONG_SECRET, RunSecrets
from jobs.runs import Observation

UNLIMITED_BODY_MEMORY = BodyMemory(sys.maxsize)
"""For attempts without a limit."""


class Credential(NamedTuple):
    """A secret by its name, or an access token of the app's identity by its scope."""

    kind: Literal["secret", "scope"]
    name: str


@fast_frozen(frozen=True, slots=True)
class AttemptContext:
    """What a check knows of the attempt that it makes."""

    run_id: str
    """Sent as Idempotency-Key."""
    attempt: int
    clock: PhaseClock
    credential_refreshes: list[Callable[[], Awaitable[CredentialRefresh]]] = field(default_factory=list, repr=False)
    """One for each secret and token that the check sends: looks for another value if the target rejects this one. The
    check adds them, see jobs.checks.http.credentials."""
    values: RunSecrets = field(default_factory=RunSecrets, repr=False)
    """Hides the values that the check fetches and saves from all texts, until the run ends."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the job: a secret may be limited to jobs with certain tags."""
    inherited_credentials: frozenset[Credential] = frozenset()
    """Credentials of earlier steps that obtained the values or the session that this request sends. Their bindings
    apply."""
    inherited_texts: tuple[str, ...] = field(default=(), repr=False)
    """These values: a redirect to another origin does not get them."""
    telemetry: TelemetryPolicy | None = None
    """Of the job: whether, and with which flag, requests carry the context of the attempt's span."""
    body_reservation: BodyReservation = field(
        default_factory=lambda: UNLIMITED_BODY_MEMORY.open_reservation("", ""), repr=False
    )
    """The memory for bodies of this attempt."""


class Check(Protocol):
    async def observe(self, target: Any, call: AttemptContext) -> Observation:
        """Observe the target once.

        A fault of the target, a secret or a token is returned as the observation's `error` and `message`. The call is
        cancelled when the attempt's deadline passes; the clock then shows the phase.
        """
        ...

    def prepare(self, target: Any) -> None:
        """Load what an observation of this target needs (modules, TLS contexts), so that no attempt's time includes it.

        Called before the first run of the target, possibly in another thread or repeatedly; raises nothing.
        """
        ...

    async def aclose(self) -> None:
        """Close connections and clients."""
        ...


async def register_value(value: str, call: AttemptContext, redactor: Redactor) -> None:
    """Hide a value from all texts until the run ends. The forms of a long one are computed in a thread."""
    forms = None
    if len(value) > LONG_SECRET and not redactor.is_registered(value):
        forms = await asyncio.to_thread(secret_forms, value)
    call.values.add(value, redactor, forms)


HTTP2_MODULE = "jobs.checks.http_transport.http2"


def preload_idna() -> None:
    """Load the codec that resolving a host or naming it in a handshake needs."""
    import_module("encodings.idna")


def preload_run_ids() -> None:
    """Load what parsing the instant in a run's id needs: `datetime.strptime` imports its module on its first call."""
    import_module("_strptime")


def preload_tls() -> None:
    """Load what reading a target's certificate needs."""
    preload_idna()
    preload_certificate_reader()


def preload_http2() -> None:
    """Load httpcore and h2: half a second, and few targets need them."""
    import_module(HTTP2_MODULE)
    # httpcore's locks are anyio's, which imports its asyncio part when the first one is made.
    import_module("anyio._backends._asyncio")
