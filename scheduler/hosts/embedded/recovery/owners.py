"""Which processes that own open runs are alive. Used by recovering."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable

from scheduler.catalog.catalog import CatalogJob

OwnerCheck = Callable[[str], bool | None]


def has_died(owner: str) -> bool | None:
    """Whether the process with this mark (host:pid:token) is gone; None if that cannot be seen from here."""
    host, _, rest = owner.partition(":")
    pid, _, _ = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit() or sys.platform == "win32":
        return None
    if int(pid) == os.getpid():
        return True  # an earlier process of this number; our own claims are asked about nowhere
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class OwnerLiveness:
    """The owners that one sweep meets. Each is looked at once, however many runs it has."""

    def __init__(self, has_died: OwnerCheck) -> None:
        self._check_owner = has_died
        self._died_by_owner: dict[str, bool | None] = {}

    def is_alive(self, owner: str) -> bool:
        """Whether the process that queued a run lives and means to perform it: a command with many runs, which it
        performs one after the other, may get to this one much later."""
        return bool(owner) and self._has_died(owner) is False

    def can_take_over(self, owner: str, entry: CatalogJob | None) -> bool:
        """Whether this owner's run may be taken over before its lease ends.

        Of another host's process nothing can be seen: mostly it is this one's container before it was started anew.
        What would do harm twice waits for its lease to end.
        """
        died = self._has_died(owner)
        return died if died is not None else entry is None or entry.job.effect == "repeatable"

    def _has_died(self, owner: str) -> bool | None:
        if owner not in self._died_by_owner:
            self._died_by_owner[owner] = self._check_owner(owner)
        return self._died_by_owner[owner]
