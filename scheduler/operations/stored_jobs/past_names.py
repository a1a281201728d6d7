"""Finds names whose past belongs to jobs that do not exist for a caller. Called by the other modules of this package.

Runs, state changes, dead letters and pauses belong to a name. A caller that is limited to tags would read and control
those of other jobs if it could use a name again.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobs.ports import Clock
from scheduler.catalog.composition import JobSources
from scheduler.identity.principal import Caller
from scheduler.queries.stored_jobs import Define, select_visible_versions
from scheduler.stores.changes.repository import StateChanges
from scheduler.stores.dead_letters.repository import DeadLetters
from scheduler.stores.pauses import Pauses
from scheduler.stores.runs.repository import Runs
from scheduler.stores.stored_jobs.repository import StoredJobs


class PastNames:
    """Methods that await raise StoreError."""

    def __init__(
        self,
        stored: StoredJobs,
        states: StateChanges,
        runs: Runs,
        letters: DeadLetters,
        pauses: Pauses,
        clock: Clock,
    ) -> None:
        self._stored = stored
        self._states = states
        self._runs = runs
        self._letters = letters
        self._pauses = pauses
        self._clock = clock

    async def find_names_of_others(
        self, sources: JobSources, names: Iterable[str], caller: Caller, define: Define
    ) -> frozenset[str]:
        """Return the names without a job whose past is not wholly visible to the caller.

        Without retained versions no tags of that time are known, so any other trace is a past of others.
        """
        if not caller.principal.tags:
            return frozenset()
        unused = [name for name in names if name not in sources.stored and name not in sources.index.jobs]
        return frozenset([name for name in unused if await self._is_of_others(sources, name, caller, define)])

    async def forget_pause(self, name: str) -> None:
        """Remove the pause of a former job of the name, which a new job must not get."""
        await self._pauses.remove(name)

    async def _is_of_others(self, sources: JobSources, name: str, caller: Caller, define: Define) -> bool:
        entry = sources.tree.find(name)
        if entry is not None:
            versions = await self._stored.list_versions(entry)
            return len(select_visible_versions(versions, caller, define)) < max(len(versions), 1)
        return (
            await self._states.read_state(name) is not None
            or bool((await self._runs.list_page(name, limit=1)).records)
            or bool((await self._letters.read_page(job=name, limit=1)).letters)
            or await self._pauses.find_active(name, self._clock.now()) is not None
        )
