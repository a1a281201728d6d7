"""Account for every due instant: compare the stored runs of jobs that are due each second with a target's requests.

    account = Account(jobs=names, since=instant, until=instant)     # whole seconds, both included
    await account.complete(store, within=60)                        # until nothing is missing or in-flight
    account.problems(await read_stored_runs(store, names), hits)    # sentences; [] is good

Read through the program's own stores, so that it holds for SQLite and Azure Tables alike. For tests that kill.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.runs import ErrorClass, Outcome, Run, Ticket
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.port import Store, StoreUnavailable
from scheduler.stores.runs.repository import RunRecord, Runs

_SECOND = timedelta(seconds=1)
_PAGE = 200


@dataclass(frozen=True, slots=True)
class StoredRuns:
    """`of_jobs`: records as each job's history lists them; `of_all`: the same from the history of all jobs."""

    of_jobs: Mapping[str, Sequence[RunRecord]]
    of_all: Sequence[RunRecord]
    letters: frozenset[str]
    """The ids of the runs that are dead letters."""


async def read_stored_runs(store: Store, jobs: Sequence[str]) -> StoredRuns:
    runs = Runs(store)
    await runs.list_unfinished()  # puts right what the last crash left half finished, as each tick and start does
    of_jobs = {job: [record async for record in _records(runs, job)] for job in jobs}
    of_all = [record async for record in _records(runs, None)]
    return StoredRuns(of_jobs, of_all, await _letters(store))


async def _letters(store: Store) -> frozenset[str]:
    """The ids of the runs that are dead letters."""
    letters: list[str] = []
    after = ""
    while page := await DeadLetters(store).list_letters(limit=_PAGE, after=after):
        letters += [letter.ticket.id for letter in page if letter.ticket is not None]
        after = page[-1].id
    return frozenset(letters)


@dataclass(frozen=True, slots=True)
class Account:
    jobs: Sequence[str]
    since: datetime
    until: datetime
    once: frozenset[str] = frozenset()
    """Jobs whose target must not see a run twice."""
    lettered: frozenset[str] = frozenset()
    """Jobs whose failed runs become dead letters."""
    followers: Mapping[str, str] = field(default_factory=dict)
    """Jobs without a schedule, each with the job that triggers one run of it per run."""
    every: timedelta = _SECOND
    """Between two due instants of a job."""

    @property
    def all_jobs(self) -> tuple[str, ...]:
        return (*self.jobs, *self.followers)

    async def complete(self, store: Store, within: float) -> None:
        """Until every instant has a finished run, and what follows from it. Raises TimeoutError, with what is missing,
        when nothing more has ended for `within` seconds: how long all of it takes is up to the machine."""
        runs = Runs(store)
        before: list[str] = []
        ends_at = 0.0
        while missing := await self._missing(store, runs):
            now = asyncio.get_running_loop().time()
            if missing != before:
                before, ends_at = missing, now + within
            if now > ends_at:
                raise TimeoutError(f"nothing has ended for {within} s: {', '.join(missing)}")
            await asyncio.sleep(0.25)

    async def _missing(self, store: Store, runs: Runs) -> list[str]:
        """Of the first job that is not complete."""
        try:
            for job in self.jobs:
                if missing := await self._unfinished(runs, job):
                    return missing
            for job, first in self.followers.items():
                if missing := await self._not_followed(runs, job, first):
                    return missing
            # The process that recorded the run may have been killed before this: the next delivery of its message then
            # does it.
            if self.lettered:
                return await self._without_letters(runs, await _letters(store))
        except StoreUnavailable as error:
            return [str(error)]  # on a machine that has too much to do
        return []

    def problems(self, stored: StoredRuns, hits: Counter[str]) -> list[str]:
        """What is wrong, one sentence each. `hits`: number of requests that the target received, by run id."""
        return [
            *(problem for job in self.jobs for problem in self._of_job(job, stored.of_jobs[job])),
            *(problem for job, first in self.followers.items() for problem in self._of_follower(job, first, stored)),
            *_of_lists(stored),
            *(problem for run in _finished(stored.of_all) for problem in self._of_run(run, stored, hits[run.id])),
            *(
                f"{run_id} was run, but is not stored"
                for run_id in hits.keys() - {each.ticket.id for each in stored.of_all}
            ),
        ]

    def summary(self, stored: StoredRuns, hits: Counter[str]) -> str:
        """The results of the runs, for a test's output."""
        runs = list(_finished(stored.of_all))
        ends = Counter(f"{run.outcome} {run.error or run.message[:20]}".strip() for run in runs)
        again = sum(count > 1 for count in hits.values())
        late = sorted(run.lateness_ms / 1000 for run in runs)
        results = ", ".join(f"{count} {end}" for end, count in ends.most_common())
        return (
            f"{len(runs)} runs due {self.since:%H:%M:%S} to {self.until:%H:%M:%S}: {results}; the "
            f"targets of {again} were "
            f"requested more than once; {len(stored.letters)} dead letters; late by "
            f"{late[len(late) // 2]:.2f} s, at most "
            f"{late[-1]:.2f} s"
        )

    async def _unfinished(self, runs: Runs, job: str) -> list[str]:
        left = dict.fromkeys(self._instants(), "no record")
        for run_id, state in (await runs.list_states_between(job, self.since, self.until)).items():
            at = datetime.strptime(run_id.rpartition("@")[2], "%Y%m%dT%H%M%S.%f%z")
            if state in tuple(Outcome):
                left.pop(at, None)
            else:
                left[at] = state
        return [f"{job} at {at:%H:%M:%S}: {state}" for at, state in left.items()]

    async def _not_followed(self, runs: Runs, job: str, first: str) -> list[str]:
        records = [record async for record in _records(runs, job)]
        ended = {record.ticket.correlation_id for record in records if record.run is not None}
        return [f"{job} after {run_id}" for run_id in self._runs_of(first) if run_id not in ended]

    async def _without_letters(self, runs: Runs, letters: frozenset[str]) -> list[str]:
        down = [outcome for outcome in Outcome if outcome.down]
        return [
            f"{run_id}: no dead letter"
            for job in sorted(self.lettered)
            for run_id, state in (await runs.list_states_between(job, self.since, self.until)).items()
            if state in down and run_id not in letters
        ]

    def _runs_of(self, job: str) -> Iterator[str]:
        return (Ticket.scheduled(job, at, "").id for at in self._instants())

    def _instants(self) -> Iterator[datetime]:
        at = self.since
        while at <= self.until:
            yield at
            at += self.every

    def _of_job(self, job: str, records: Sequence[RunRecord]) -> Iterator[str]:
        found = Counter(record.ticket.due_at for record in records)
        for at in self._instants():
            if found[at] != 1:
                yield f"{job} has {found[at]} records of what was due at {at:%H:%M:%S}"
        yield from (f"{job} was never due at {at}" for at in found if at.microsecond)

    def _of_follower(self, job: str, first: str, stored: StoredRuns) -> Iterator[str]:
        found = Counter(record.ticket.correlation_id for record in stored.of_jobs[job])
        # Runs due after `until` can be missing so far.
        for run_id in {*self._runs_of(first), *found}:
            if found[run_id] != 1:
                yield f"{job} has {found[run_id]} records of what follows from {run_id}"

    def _of_run(self, run: Run, stored: StoredRuns, hits: int) -> Iterator[str]:
        if run.outcome is Outcome.SUCCEEDED and not hits:
            yield f"{run.id} succeeded, but its target received no request"
        if run.lateness_ms < 0:
            yield f"{run.id} began {-run.lateness_ms:.0f} ms before its instant"
        if run.outcome is not Outcome.SUCCEEDED and not run.message:
            yield f"{run.id} {run.outcome} without a reason"
        abandoned = run.error is ErrorClass.DEAD_LETTERED or (run.job in self.lettered and run.outcome.down)
        if abandoned and run.id not in stored.letters:
            yield f"{run.id} was given up, but is not a dead letter"
        if run.job in self.once and hits > 1:
            yield f"{run.id} may have one effect, and its target received {hits} requests"


def _of_lists(stored: StoredRuns) -> Iterator[str]:
    of_jobs = Counter(record.ticket.id for records in stored.of_jobs.values() for record in records)
    of_all = Counter(record.ticket.id for record in stored.of_all)
    for counted, where in ((of_jobs, "its job's history"), (of_all, "the history of all jobs")):
        yield from (f"{run_id} is {count} times in {where}" for run_id, count in counted.items() if count > 1)
    # While runs are in-flight, the list that was read first can lack runs of the last one.
    yield from (f"{run_id} is in its job's history only" for run_id in of_jobs.keys() - of_all.keys())


def _finished(records: Sequence[RunRecord]) -> Iterator[Run]:
    return (record.run for record in records if record.run is not None)


async def _records(runs: Runs, job: str | None) -> AsyncIterator[RunRecord]:
    continuation = None
    while True:
        page = await runs.list_page(job, limit=_PAGE, continuation=continuation)
        for record in page.records:
            yield record
        continuation = page.continuation
        if continuation is None:
            return
