"""Checks which processes that own open runs are alive. Called by scheduler.hosts.embedded.recovery."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable

from scheduler.catalog.catalog import CatalogJob

OwnerCheck = Callable[[str], bool | None]


def has_died(owner: str) -> bool | None:
    """Return whether the owner (host:pid:token) has died; None if this process cannot check it."""
    host, _, rest = owner.partition(":")
    pid, _, _ = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit() or sys.platform == "win32":
        return None
    if int(pid) == os.getpid():
        return True  # an earlier process with the same number: own claims are never checked
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class OwnerLiveness:
    """The owners in one sweep. Each is checked once, for all its runs."""

    def __init__(self, has_died: OwnerCheck) -> None:
        self._check_owner = has_died
        self._died_by_owner: dict[str, bool | None] = {}

    def is_alive(self, owner: str) -> bool:
        """Return whether the process that queued a run is alive and will execute it.

        A command that executes many runs in order may reach this one much later.
        """
        return bool(owner) and self._has_died(owner) is False

    def can_take_over(self, owner: str, entry: CatalogJob | None) -> bool:
        """Return whether recovery may take over this owner's run before its lease ends.

        A process of another host cannot be checked; mostly it is the previous container. A run that must not be
        executed twice waits for the end of its lease.
        """
        died = self._has_died(owner)
        return died if died is not None else entry is None or entry.job.effect == "repeatable"

    def _has_died(self, owner: str) -> bool | None:
        if owner not in self._died_by_owner:
            self._died_by_owner[owner] = self._check_owner(owner)
        return self._died_by_owner[owner]
