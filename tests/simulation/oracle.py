"""Judges what a simulation leaves behind: every due instant accounted for once, everybody told, nothing left open.

It judges as the simulation goes on, some hours behind it, and forgets what it has judged: so a long one needs no more
memory than a short one.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.definition import JobDefinition
from jobs.runs import ErrorClass, Outcome, Run, Trigger
from jobs.schedules import Schedule
from scheduler.catalog.catalog import Catalog
from scheduler.stores.dead_letters import DEAD_LETTERS_TABLE
from scheduler.stores.runs.codec import RunRecord, decode_record
from scheduler.stores.schedules import CURSORS_TABLE, PLANNED_UNTIL_CURSOR, SCHEDULES_TABLE
from tests.simulation import chains
from tests.simulation.chains import ChainJudge
from tests.simulation.outside import Outside
from tests.simulation.process import START
from tests.simulation.storage import Tables

CLOCKS_DIFFER = timedelta(seconds=2)
"""Of two instances that plan a new job at once, one may find that its schedule is in force since before the instant."""
_LEFT_OUT = "it was due while no scheduler was running"
_RANGE = re.compile(r"as were the instants without a run since (\S+ \S+)Z")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Instants from `first` to `last` that have no run, as a skipped run says of them."""

    first: datetime
    last: datetime


class Oracle:
    def __init__(self, catalog: Catalog, tables: Tables, outside: Outside) -> None:
        self.catalog = catalog
        self._tables = tables
        self._outside = outside
        self._judged: dict[str, datetime] = {}
        """Until when each job's instants are accounted for."""
        self.problems: list[str] = []
        """What was wrong so far, one sentence each."""
        self.counted: Counter[str] = Counter()
        self._end = START
        self._chains = ChainJudge(catalog)

    def planned_until(self) -> datetime | None:
        row = self._tables.get(CURSORS_TABLE, PLANNED_UNTIL_CURSOR, "instant")
        return None if row is None else _instant(row.body, "instant")

    def judge(self, end: datetime) -> None:
        """Judge everything that fell due until `end` and was not judged before, and forget it."""
        since, self._end = self._end, end
        self.problems += self._of_chains(since, end)
        records = self._records(since, end)
        skipped = self._left_out()
        buried = self._buried(end)
        for entry in self.catalog:
            job = entry.job
            found = records.pop(job.name, {})
            self.problems += self._of_job(job, found, skipped.get(job.name, ()), end)
            for record in found.values():
                self.problems += self._of_record(job, record, buried)
                self._count(record, buried)
        self.problems += (f"job {job} has runs, and there is no such job" for job in records)
        self.problems += (f"the pointer to {key.run_id} is still open" for key in self._tables.left_open(end))
        self._forget(end)

    def _of_chains(self, since: datetime, end: datetime) -> list[str]:
        runs = [
            record.run
            for record in map(decode_record, self._tables.runs_of(self._chains.jobs))
            if record.run is not None
        ]
        return [*self._chains.problems(runs, since - chains.TAKES, end - chains.TAKES)]

    def _records(self, since: datetime, end: datetime) -> defaultdict[str, dict[datetime, RunRecord]]:
        found: defaultdict[str, dict[datetime, RunRecord]] = defaultdict(dict)
        for row in self._tables.runs_until(end):
            record = decode_record(row)
            if record.ticket.due_at > since:
                found[record.ticket.job][record.ticket.due_at] = record
        return found

    def _left_out(self) -> Mapping[str, Sequence[LeftOut]]:
        found: defaultdict[str, list[LeftOut]] = defaultdict(list)
        for row in self._tables.runs_with("as were the instants without a run since"):
            record = decode_record(row)
            if record.run is not None and (span := _RANGE.search(record.run.message)):
                since = datetime.fromisoformat(span[1]).replace(tzinfo=UTC)
                found[record.ticket.job].append(LeftOut(since, record.ticket.due_at))
        return found

    def _buried(self, end: datetime) -> set[str]:
        """Ids of runs that are dead letters. The letters of those that are judged now are forgotten."""
        found = set()
        for row in [*self._tables.all(DEAD_LETTERS_TABLE)]:
            ticket = json.loads(row.body).get("ticket")
            if ticket is not None:
                found.add(ticket["id"])
                if datetime.fromisoformat(ticket["due_at"]) <= end:
                    self._tables.forget(DEAD_LETTERS_TABLE, row)
        return found

    def _of_job(
        self, job: JobDefinition, records: Mapping[datetime, RunRecord], skipped: Sequence[LeftOut], end: datetime
    ) -> Iterator[str]:
        due = set()
        if job.schedule is not None:
            since = self._since(job.name)
            if since is None:
                yield f"job {job.name} was never taken note of"
                return
            for at in _instants(job.schedule, since, end):
                due.add(at)
                if at not in records and not any(some.first <= at <= some.last for some in skipped):
                    yield f"{job.name} has no run at {at.isoformat()}, and nothing says why"
            due.update(_instants(job.schedule, since - CLOCKS_DIFFER, since))
            self._judged[job.name] = max(since, end)
        for at, record in records.items():
            if job.schedule is not None and at not in due:
                yield f"run {record.ticket.id} was never due"
            if record.run is not None and self._is_untold(record.run, skipped):
                yield f"nobody was told that run {record.ticket.id} {record.run.outcome}"

    def _since(self, job: str) -> datetime | None:
        """From when on its instants are to be accounted for."""
        if not self._judged:
            marks = self._tables.all(SCHEDULES_TABLE)
            self._judged = {row.key: _instant(row.body, "since") for row in marks}
        return self._judged.get(job)

    def _is_untold(self, run: Run, skipped: Sequence[LeftOut]) -> bool:
        """What a tick that was cut short left out may stay so if a later tick told of a span that takes it in.

        And a run that is left out because of what it depends on, if the process died just after it recorded that.
        """
        if run.outcome in self._outside.told.get(run.id, ()):
            return False
        if run.trigger is Trigger.DEPENDENCY and run.outcome is Outcome.SKIPPED:
            return False
        return _LEFT_OUT not in run.message or not any(some.first <= run.due_at < some.last for some in skipped)

    def _of_record(self, job: JobDefinition, record: RunRecord, buried: set[str]) -> Iterator[str]:
        run = record.run
        if run is None:
            yield f"run {record.ticket.id} is {record.state} for ever"
            return
        if run.outcome is Outcome.SKIPPED and not run.message:
            yield f"run {run.id} was skipped without a reason"
        abandoned = (job.dead_letter and run.outcome.down) or run.error is ErrorClass.DEAD_LETTERED
        if abandoned and run.id not in buried:
            yield f"run {run.id} was given up, but is no dead letter"
        if run.id in buried and not run.outcome.down:
            yield f"run {run.id} {run.outcome}, and is a dead letter"

    def _count(self, record: RunRecord, buried: set[str]) -> None:
        run = record.run
        if run is None:
            return
        self.counted["runs"] += 1
        self.counted["letters"] += run.id in buried
        self.counted["left_out"] += run.outcome is Outcome.SKIPPED
        self.counted["dead_lettered"] += run.error is ErrorClass.DEAD_LETTERED
        self.counted["executed_again"] += max(0, self._outside.executions[run.id] - 1)

    def _forget(self, end: datetime) -> None:
        for run_id in self._tables.forget_until(end, self._chains.jobs):
            self._outside.forget(run_id)


def _instants(schedule: Schedule, since: datetime, end: datetime) -> Iterator[datetime]:
    at = schedule.next_after(since)
    while at is not None and at <= end:
        yield at
        at = schedule.next_after(at)


def _instant(body: str, key: str) -> datetime:
    return datetime.fromisoformat(json.loads(body)[key])
