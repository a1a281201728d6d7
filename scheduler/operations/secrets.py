"""Makes every process read a changed secret again. Called by scheduler.api and the commands."""

from __future__ import annotations

import secrets

from scheduler.audit.change_log import log_change
from scheduler.errors import NotFound
from scheduler.identity.caller import ChangeSource
from scheduler.secrets.monitor import SecretMonitor, SecretView


class SecretRefresher:
    def __init__(self, monitor: SecretMonitor) -> None:
        self._monitor = monitor

    async def refresh(self, name: str, *, source: ChangeSource) -> SecretView:
        """Read a secret again: in this process now, in others at its first use after at most 15 s.

        Raises:
            NotFound: no job uses a secret of that name.
            StoreError: nothing was changed.
        """
        if not await self._monitor.record_new_version(name, secrets.token_hex(8)):
            raise NotFound(f"no job uses a secret named {name!r}")
        log_change(f"secret {name} was refreshed", source)
        view = await self._monitor.read_secret(name)
        if view is None:
            raise NotFound(f"no job uses a secret named {name!r} any longer")
        return view
