"""Fills a store with the rollups and runs of a fleet, as finishing its runs would. Used by bench.stats and
bench.metrics_page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random

from jobs.runs import Attempt, Outcome, Phases, Run, Ticket
from jobs.runs.uptime import UptimeSample
from scheduler.stores.port import Change, Store, Upsert
from scheduler.stores.rows import encode_json
from scheduler.stores.runs.codec import done_pointer, encode_finished
from scheduler.stores.runs.keys import HISTORY_TABLE, SHARD_NAMES, RunKey, shard_of_job
from scheduler.stores.runs.rollups.days import encode_hours, sum_counts
from scheduler.stores.runs.rollups.hours import HourCounts
from scheduler.stores.runs.rollups.keys import (
    DAY_HOURS_PREFIX,
    DAY_PREFIX,
    HOUR_PREFIX,
    STATE_KEY,
    format_day,
    format_hour,
)
from scheduler.stores.runs.rollups.tally import Availability, Rollup, Tally, pack_hour

GROUP = 400
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DOWN_SHARE = 0.02


def random_run(random: Random, job: str, due_at: datetime) -> Run:
    """A run of a check that takes around 100 ms, and fails sometimes."""
    ticket = Ticket.scheduled(job, due_at, "abcdef123456")
    started = due_at + timedelta(milliseconds=random.expovariate(0.3))
    took = random.lognormvariate(4.6, 0.5)
    outcome = Outcome.FAILED if random.random() < DOWN_SHARE else Outcome.SUCCEEDED
    attempt = Attempt(1, started, Phases(None, None, None, None, took * 0.9), 503 if outcome.down else 200)
    return Run(
        id=ticket.id,
        job=job,
        trigger=ticket.trigger,
        outcome=outcome,
        due_at=due_at,
        started_at=started,
        finished_at=started + timedelta(milliseconds=took),
        attempts=(attempt,),
        generation=ticket.generation,
        correlation_id=ticket.correlation_id,
    )


class Fill:
    """One run a minute of each job until `now`. Counts what it writes."""

    def __init__(self, store: Store, now: datetime, seed: int = 7) -> None:
        self._store = store
        self._now = now
        self._random = Random(seed)
        self._pending: list[Change] = []
        self.counted = 0
        self.stored = 0

    async def rollups(self, jobs: Sequence[str], days: int) -> None:
        """Complete days are two rows each, the hours of today a row each."""
        midnight = self._now.replace(hour=0, minute=0, second=0, microsecond=0)
        for job in jobs:
            for day in (midnight - number * DAY for number in range(days, 0, -1)):
                await self._write(*self._day_rows(job, day))
            for hour in (midnight + number * HOUR for number in range(self._now.hour)):
                body = self._hour(hour).encode()
                await self._write(
                    Upsert(HISTORY_TABLE, shard_of_job(job), f"{HOUR_PREFIX}{job}~{format_hour(hour)}", body)
                )
        for shard in SHARD_NAMES:
            await self._write(Upsert(HISTORY_TABLE, shard, STATE_KEY, '{"counted":1}'))
        await self._flush()

    async def hours(self, jobs: Sequence[str], number: int) -> None:
        """The hours before the current one. Jobs share the counts of a few of them, which take long to make."""
        current = self._now.replace(minute=0, second=0, microsecond=0)
        bodies = [self._hour(current - HOUR).encode() for _ in range(20)]
        for place, job in enumerate(jobs):
            for past in range(number):
                key = f"{HOUR_PREFIX}{job}~{format_hour(current - (past + 1) * HOUR)}"
                await self._write(Upsert(HISTORY_TABLE, shard_of_job(job), key, bodies[(place + past) % 20]))
        self.counted = 60 * number * len(jobs)
        for shard in SHARD_NAMES:
            await self._write(Upsert(HISTORY_TABLE, shard, STATE_KEY, '{"counted":1}'))
        await self._flush()

    async def runs(self, jobs: Sequence[str], each: int) -> None:
        """The newest runs of each job, with their pointers: they are counted already."""
        last = self._now.replace(minute=0, second=0, microsecond=0) - MINUTE
        for job in jobs:
            for number in range(each):
                run = random_run(self._random, job, last - number * MINUTE)
                key = RunKey.for_ticket(run)
                await self._write(
                    Upsert(HISTORY_TABLE, key.shard, key.run_key, encode_finished(run)), done_pointer(key, run)
                )
                self.stored += 1
        await self._flush()

    def _day_rows(self, job: str, day: datetime) -> Iterator[Change]:
        total, hours = Rollup(), {}
        for number in range(24):
            rollup = sum_counts([self._hour(day + number * HOUR)])
            hours[f"{number:02d}"] = rollup.encode()
            by_hour = pack_hour(number, rollup.tally.runs, rollup.tally.down)
            total.merge(Rollup(rollup.tally, rollup.segment, by_hour))
        for prefix, body in ((DAY_PREFIX, encode_json(total.encode())), (DAY_HOURS_PREFIX, encode_hours(hours))):
            yield Upsert(HISTORY_TABLE, shard_of_job(job), f"{prefix}{job}~{format_day(day)}", body)

    def _hour(self, hour: datetime) -> HourCounts:
        """Sixty runs, counted by what each of them adds, without making the runs."""
        tally, availability, random = Tally(), None, self._random
        for number in range(60):
            took, down = random.lognormvariate(4.6, 0.5), random.random() < DOWN_SHARE
            tally.outcomes[1 if down else 0] += 1
            tally.duration.add(took)
            tally.response_time.add(took * 0.9)
            tally.lateness.add(random.expovariate(0.3))
            sample, instant = UptimeSample("down") if down else UptimeSample("up", took), hour + number * MINUTE
            if availability is None:
                availability = Availability.begin(instant, sample)
            else:
                availability.add(instant, sample)
        self.counted += 60
        histograms = tally.duration, tally.response_time, tally.lateness
        texts = [encode_json(histogram.counts) for histogram in histograms]
        return HourCounts(tally.outcomes, 60, 0, 0, availability, texts)

    async def _write(self, *changes: Change) -> None:
        self._pending += changes
        if len(self._pending) >= GROUP:
            await self._flush()

    async def _flush(self) -> None:
        if self._pending:
            await self._store.apply(*self._pending)
            self._pending = []
