"""Makes every process read a changed secret again. Called by scheduler.api and the commands."""

from __future__ import annotations

import secrets

from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.errors import NotFound
from scheduler.identity.principal import Caller
from scheduler.secrets.monitor import SecretMonitor, SecretView


class SecretRefresher:
    def __init__(self, monitor: SecretMonitor, audit: AuditTrail) -> None:
        self._monitor = monitor
        self._audit = audit

    async def refresh(self, name: str, *, caller: Caller) -> SecretView:
        """Read a secret again: in this process now, in others at its first use after at most 15 s.

        Raises:
            NotFound: no job uses a secret of that name.
            StoreError: nothing was changed.
        """
        jobs = self._monitor.jobs_using(name)
        if not jobs:
            raise NotFound(f"no job uses a secret named {name!r}")
        change = AuditedChange("secret.refresh", name, f"secret {name} was refreshed", jobs)
        async with audited(self._audit, caller, change):
            await self._monitor.record_new_version(name, secrets.token_hex(8))
        view = await self._monitor.read_secret(name)
        if view is None:
            raise NotFound(f"no job uses a secret named {name!r} any longer")
        return view
