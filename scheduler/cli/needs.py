"""What each command needs of the configuration: decides what a broken job file or setting does to it. Pure.

Called by scheduler.cli.context.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Needs(Enum):
    """How much of the configuration must be right."""

    EVERYTHING = "everything"
    """It runs jobs, so it needs all of them: what depends on a run must be known. A problem ends it with 2."""
    ALL_JOBS = "all jobs"
    """It lists jobs: it shows those that can be read and the problems, and ends with 2 as its list is incomplete."""
    STORE = "store"
    """It reads the store alone, and job files only to say whether a job is known. It shows problems of settings."""
    USABLE = "usable"
    """Its answer is complete without the rest: it shows the problems and ends as it does without them."""


NEEDS: Mapping[str, Needs] = {
    "serve": Needs.EVERYTHING,
    "run": Needs.EVERYTHING,
    "backfill": Needs.EVERYTHING,
    "dead-letters replay": Needs.EVERYTHING,
    "jobs": Needs.ALL_JOBS,
    "circuits": Needs.ALL_JOBS,
    "secrets": Needs.ALL_JOBS,
    "secrets rules": Needs.ALL_JOBS,
    "next": Needs.USABLE,
    "explain": Needs.USABLE,
    "history": Needs.STORE,
    "heartbeat": Needs.USABLE,
    "uptime": Needs.STORE,
    "pause": Needs.USABLE,
    "resume": Needs.USABLE,
    "cancel": Needs.USABLE,
    "circuits open": Needs.USABLE,
    "circuits close": Needs.USABLE,
    "circuits reset": Needs.USABLE,
    "secrets refresh": Needs.USABLE,
    "dead-letters list": Needs.STORE,
    "dead-letters show": Needs.STORE,
    "dead-letters discard": Needs.USABLE,
}
"""By command. `validate` is not here: it judges the configuration itself."""
