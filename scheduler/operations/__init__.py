"""What people make the scheduler do. Called by the API and the CLI; every change goes through here, and is logged.

A file a group of changes; scheduler.app puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scheduler.operations.audit import Way
    from scheduler.operations.backfilling import Backfill, Backfilling
    from scheduler.operations.cancelling import Cancelling
    from scheduler.operations.circuits import CircuitSteering
    from scheduler.operations.errors import Conflict, NotDone, NotThere, Unusable
    from scheduler.operations.pausing import Pausing
    from scheduler.operations.pinging import Pinging
    from scheduler.operations.refreshing import Refreshing
    from scheduler.operations.replaying import Replayed, Replaying, Wanted
    from scheduler.operations.running import Running

__all__ = [
    "Backfill",
    "Backfilling",
    "Cancelling",
    "CircuitSteering",
    "Conflict",
    "NotDone",
    "NotThere",
    "Operations",
    "Pausing",
    "Pinging",
    "Refreshing",
    "Replayed",
    "Replaying",
    "Running",
    "Unusable",
    "Wanted",
    "Way",
]

_PLACES = {
    "Way": "audit",
    "Backfill": "backfilling",
    "Backfilling": "backfilling",
    "Cancelling": "cancelling",
    "CircuitSteering": "circuits",
    "Conflict": "errors",
    "NotDone": "errors",
    "NotThere": "errors",
    "Unusable": "errors",
    "Pausing": "pausing",
    "Pinging": "pinging",
    "Refreshing": "refreshing",
    "Replayed": "replaying",
    "Replaying": "replaying",
    "Wanted": "replaying",
    "Running": "running",
}
"""The file of each name."""


def __getattr__(name: str) -> Any:
    """Load what is asked for: a command that reads needs the errors alone."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found


@dataclass(frozen=True, slots=True)
class Operations:
    running: Running
    pausing: Pausing
    cancelling: Cancelling
    replaying: Replaying
    backfilling: Backfilling
    circuits: CircuitSteering
    refreshing: Refreshing
    pinging: Pinging
