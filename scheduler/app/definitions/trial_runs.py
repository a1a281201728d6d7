"""Opens a runner of jobs without a store: nothing is recorded, published or counted. Called by the command `test`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from config.identity import AppIdentity
from config.settings.model import Settings
from jobs.checks.body_memory import BodyMemory
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.runner import Runner
from jobs.runs.events import RunListener
from scheduler.app.check_setup import open_checks
from scheduler.app.options import open_log, with_version
from scheduler.app.profile import HostProfile


@asynccontextmanager
async def open_trial_runner(settings: Settings, profile: HostProfile, listener: RunListener) -> AsyncIterator[Runner]:
    """Open a runner with the guard, the secrets and the limits of these settings. `listener` hears of its runs."""
    async with AsyncExitStack() as stack:
        clock, redactor, settings = SystemClock(), Redactor(), with_version(settings)
        open_log(profile, settings, redactor, stack)
        identity = AppIdentity(settings, clock=clock)
        stack.push_async_callback(identity.aclose)
        parts = open_checks(settings, profile.own_endpoints(settings), identity, redactor, clock, stack)
        yield Runner(
            parts.checks,
            CircuitBreakers(_NoCircuits()),
            listener,
            clock,
            redactor,
            bodies=BodyMemory(settings.targets.body_memory),
            prepare=lambda target: parts.checks.prepare((target,)),
            judges=parts.judges,
        )


class _NoCircuits:
    """A store of circuits that forgets: each run is admitted."""

    async def load(self, key: str) -> tuple[str | None, str | None]:
        return None, None

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        return True
