"""Reading a secret again in every process, for who has just changed it and does not want to wait."""

from __future__ import annotations

import secrets

from scheduler.operations.audit import Way, audit
from scheduler.operations.errors import NotThere
from scheduler.secret_watch import SecretView, SecretWatch


class Refreshing:
    def __init__(self, watch: SecretWatch) -> None:
        self._watch = watch

    async def refresh(self, name: str, *, way: Way) -> SecretView:
        """Have it read again: here at once, in other processes at the next use after 15 s at the latest.

        Raises:
            NotThere: no job uses a secret of that name.
            StoreError: nothing was changed.
        """
        if not await self._watch.new_version(name, secrets.token_hex(8)):
            raise NotThere(f"no job uses a secret named {name!r}")
        audit(f"secret {name} is read again", way)
        view = await self._watch.view(name)
        if view is None:
            raise NotThere(f"no job uses a secret named {name!r} any more")
        return view
