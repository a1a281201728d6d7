"""How much of the configuration a command needs: decides the effect of an invalid job file or setting. Pure.

Called by scheduler.cli.registry, which has the need of each command, and scheduler.cli.context.
"""

from __future__ import annotations

from enum import Enum


class Needs(Enum):
    """How much of the configuration must be valid."""

    EVERYTHING = "everything"
    """It runs jobs, so it needs all of them: the dependents of a run must be known. A problem ends it with 2."""
    ALL_JOBS = "all jobs"
    """It lists jobs: it shows the valid ones and the problems, and ends with 2 because its list is incomplete."""
    STORE = "store"
    """It reads the store; it reads job files only to check whether a job exists. It shows problems of settings."""
    USABLE = "usable"
    """Its answer is complete without the rest: it shows the problems, and its exit code does not change."""
    NOTHING = "nothing"
    """It has no action, or loads the configuration itself."""
