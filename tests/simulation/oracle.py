"""Judges what a simulation left behind: every due instant accounted for once, everybody told, nothing left open."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from jobs.definition import JobDefinition
from jobs.runs import ErrorClass, Outcome, Run
from scheduler.catalog import Catalog
from scheduler.stores import cursors, dead_letters, schedule_marks
from scheduler.stores.run_codec import Record, decode
from scheduler.stores.run_keys import RUNS, RunKey
from tests.simulation.storage import Tables
from tests.simulation.targets import Outside

_LEFT_OUT = "it fell due while no scheduler was running"
_RANGE = re.compile(r"like those before it since (\S+ \S+)Z that have no run")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Instants from `first` to `last` that have no run, as a skipped run says of them."""

    first: datetime
    last: datetime


class Oracle:
    def __init__(self, catalog: Catalog, tables: Tables, outside: Outside) -> None:
        self._tables = tables
        self._outside = outside
        self._catalog = catalog
        self._since = {row.key: _instant(row.body, "since") for row in tables.all(schedule_marks.TABLE)}
        self._buried = {
            letter["ticket"]["id"]
            for row in tables.all(dead_letters.TABLE)
            if "ticket" in (letter := json.loads(row.body))
        }
        self._records: dict[str, dict[datetime, Record]] = {}
        for row in tables.all(RUNS):
            record = decode(row)
            self._records.setdefault(record.ticket.job, {})[record.ticket.due_at] = record

    @property
    def runs(self) -> Iterator[Run]:
        """Finished ones."""
        return (record.run for records in self._records.values() for record in records.values() if record.run)

    def planned_until(self) -> datetime | None:
        row = self._tables.get(cursors.TABLE, cursors.PLANNED_UNTIL, "instant")
        return None if row is None else _instant(row.body, "instant")

    def problems(self, end: datetime) -> list[str]:
        """What is wrong with everything that fell due until `end`, one sentence each."""
        return [
            *(problem for entry in self._catalog for problem in self._of_job(entry.job, end)),
            *(problem for run in self.runs for problem in self._of_run(run)),
            *(
                f"the pointer {key} is still open"
                for key in self._tables.open_pointers()
                if self._points_to_a_run(key, end)
            ),
        ]

    def _points_to_a_run(self, pointer: str, end: datetime) -> bool:
        """A crash between the pointer and its run leaves one that everybody passes over until retention removes it."""
        key = RunKey.of_pointer(pointer)
        return key.due_at <= end and self._tables.get(RUNS, key.job, key.key) is not None

    def _of_job(self, job: JobDefinition, end: datetime) -> Iterator[str]:
        schedule, since = job.schedule, self._since.get(job.name)
        if schedule is None:
            return
        if since is None:
            yield f"job {job.name} was never taken note of"
            return
        records = dict(self._records.get(job.name, {}))
        left_out = [*_left_out(records)]
        yield from self._untold(records, left_out)
        at = schedule.next_after(since)
        while at is not None and at <= end:
            record = records.pop(at, None)
            if record is None and not any(some.first <= at <= some.last for some in left_out):
                yield f"{job.name} has no run at {at.isoformat()}, and nothing says why"
            at = schedule.next_after(at)
            if record is not None and record.run is None:
                yield f"run {record.ticket.id} is {record.state} for ever"
        for due_at, record in records.items():
            if due_at <= end:
                yield f"run {record.ticket.id} was never due"

    def _untold(self, records: Mapping[datetime, Record], left_out: Sequence[LeftOut]) -> Iterator[str]:
        """What a tick that was cut short left out may stay untold if a later tick told of a span that takes it in."""
        for due_at, record in records.items():
            run = record.run
            if run is None or run.outcome in self._outside.told.get(run.id, ()):
                continue
            if _LEFT_OUT not in run.message or not any(some.first <= due_at < some.last for some in left_out):
                yield f"nobody was told that run {run.id} {run.outcome}"

    def _of_run(self, run: Run) -> Iterator[str]:
        if run.outcome is Outcome.SKIPPED and not run.message:
            yield f"run {run.id} was skipped without a reason"
        entry = self._catalog.find(run.job)
        kept = entry is not None and entry.job.dead_letter and run.outcome.down
        if (kept or run.error is ErrorClass.DEAD_LETTERED) and run.id not in self._buried:
            yield f"run {run.id} was given up, but is no dead letter"


def _left_out(records: dict[datetime, Record]) -> Iterator[LeftOut]:
    for due_at, record in records.items():
        if record.run is not None and (found := _RANGE.search(record.run.message)):
            yield LeftOut(datetime.fromisoformat(found[1]).replace(tzinfo=UTC), due_at)


def _instant(body: str, key: str) -> datetime:
    return datetime.fromisoformat(json.loads(body)[key])
