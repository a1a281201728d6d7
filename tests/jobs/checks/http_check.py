"""What the tests of the HTTP check share: secrets and tokens from memory, and one question to a target."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from jobs.checks.clock import Phase, PhaseClock
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.port import AttemptContext
from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.ports import CredentialRefresh
from jobs.redaction import Redactor
from jobs.runs import Observation
from jobs.targets import HttpTarget


@dataclass
class MemorySecrets:
    values: Mapping[str, str] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    renewed_names: list[str] = field(default_factory=list)

    async def get_secret(self, name: str) -> str:
        self.requested.append(name)
        if name not in self.values:
            raise SecretUnavailable(f"There is no secret {name}")
        return self.values[name]

    async def refresh_rejected(self, name: str, rejected: str) -> CredentialRefresh:
        self.renewed_names.append(name)
        return CredentialRefresh(self.values.get(name) != rejected, f"{name} was looked at again")


@dataclass
class MemoryTokens:
    values: Mapping[str, str] = field(default_factory=dict)

    async def get_token(self, scope: str) -> str:
        if scope not in self.values:
            raise TokenUnavailable(f"No token for {scope}")
        return self.values[scope]

    async def refresh_rejected(self, scope: str, rejected: str) -> CredentialRefresh:
        return CredentialRefresh(self.values.get(scope) != rejected, f"{scope} was looked at again")


@dataclass
class HttpCheckDriver:
    """A check and what it was built of."""

    check: HttpCheck
    redactor: Redactor
    secrets: MemorySecrets

    async def __call__(self, url: str, clock: PhaseClock | None = None, **target: Any) -> Observation:
        """Ask this target once, as run `job@1`."""
        call = AttemptContext("job@1", 1, clock or PhaseClock())
        return await self.check.observe(HttpTarget.model_validate({"url": url, **target}), call)

    async def run_until_phase(self, phase: Phase, url: str, **target: Any) -> PhaseClock:
        """Ask, but give up a moment after this phase has begun; the clock tells how far it came."""
        clock = PhaseClock()
        requesting = asyncio.ensure_future(self(url, clock, **target))
        async with asyncio.timeout(60):
            while clock.current != phase:
                assert not requesting.done(), f"it was over in time: {requesting.result()}"
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
        requesting.cancel()
        with suppress(asyncio.CancelledError):
            raise AssertionError(f"it was over in time: {await requesting}")
        return clock


async def wait_until(condition: Callable[[], bool]) -> None:
    """Until it holds. TimeoutError after a minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def open_http_check(
    secrets: Mapping[str, str] | None = None, tokens: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[HttpCheckDriver]:
    """`options`: those of HttpCheck."""
    redactor, known = Redactor(), MemorySecrets(secrets or {})
    check = HttpCheck(known, MemoryTokens(tokens or {}), redactor, **options)
    try:
        yield HttpCheckDriver(check, redactor, known)
    finally:
        await check.aclose()
