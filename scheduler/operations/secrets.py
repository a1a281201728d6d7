"""Reading a secret again in every process, for who has just changed it and does not want to wait."""

from __future__ import annotations

import secrets

from scheduler.audit import ChangeSource, log_change
from scheduler.errors import NotFound
from scheduler.secrets.monitor import SecretMonitor, SecretView


class SecretRefresher:
    def __init__(self, monitor: SecretMonitor) -> None:
        self._monitor = monitor

    async def refresh(self, name: str, *, source: ChangeSource) -> SecretView:
        """Have it read again: here at once, in other processes at the next use after 15 s at the latest.

        Raises:
            NotThere: no job uses a secret of that name.
            StoreError: nothing was changed.
        """
        if not await self._monitor.record_new_version(name, secrets.token_hex(8)):
            raise NotFound(f"no job uses a secret named {name!r}")
        log_change(f"secret {name} is read again", source)
        view = await self._monitor.read_secret(name)
        if view is None:
            raise NotFound(f"no job uses a secret named {name!r} any more")
        return view
