"""A store with the runs, states and incidents of some time, as the program leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.runs import Attempt, ErrorClass, Outcome, Phases, Run, Ticket
from jobs.runs.outcomes import ReasonCode
from jobs.runs.states import StateChange, change_by_run
from scheduler.alerting.replay.history import JobHistory, ReplayDefinitions, ReplayRun
from scheduler.features.backtest.service import Backtester
from scheduler.stores.port import Store, Upsert
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.codec import encode_finished
from scheduler.stores.runs.keys import HISTORY_TABLE, RunKey
from scheduler.stores.runs.repository import Runs
from tests.scheduler.alerting.replay.live import LiveAlerting
from tests.scheduler.stores.memory import MemoryStore


class StoredTime:
    """Runs the program over histories; `backtester` reads what it has stored."""

    def __init__(self, definitions: ReplayDefinitions, histories: Sequence[JobHistory]) -> None:
        self.definitions = definitions
        self.histories = histories
        self.live = LiveAlerting(definitions, histories)
        self.store: MemoryStore = self.live.store
        repositories = Repositories(self.store)
        self.log = repositories.incident_log
        self.backtester = Backtester(
            Runs(self.store), repositories.changes, self.log, repositories.silences, repositories.requested_windows
        )

    async def run(self, until: datetime, *, forgets_until: datetime | None = None) -> None:
        """`forgets_until`: older runs are not stored any more."""
        for silence in self.definitions.suppressions.silences:
            await Repositories(self.store).silences.insert(silence)
        await store_runs(self.store, self.histories, forgets_until)
        await self.live.run(until)


async def store_runs(store: Store, histories: Sequence[JobHistory], forgets_until: datetime | None = None) -> None:
    """Store the runs and the changes of states that they cause."""
    changes = Repositories(store).changes
    for history in histories:
        current: StateChange | None = None
        etag = ""
        for each in history.runs:
            run = to_run(history.job, each)
            change = change_by_run(current, run)
            if change is not None:
                etag = (await changes.write(change, etag)).etag
                current = change
            elif current is not None:
                current = current.considering(run)
            if forgets_until is None or run.due_at >= forgets_until:
                key = RunKey.for_ticket(run)
                await store.apply(Upsert(HISTORY_TABLE, key.shard, key.run_key, encode_finished(run)))


def to_run(job: str, each: ReplayRun) -> Run:
    ticket = Ticket.scheduled(job, each.due_at, "abc")
    sample = each.sample
    is_unknown = sample is not None and sample.is_unknown
    outcome = (
        Outcome.SKIPPED if sample is None or is_unknown else Outcome.FAILED if sample.is_failed else Outcome.SUCCEEDED
    )
    attempt = Attempt(1, each.due_at, Phases(None, None, None, None, 100.0), 503 if outcome.down else 200)
    return Run(
        id=ticket.id,
        job=job,
        trigger=ticket.trigger if sample is None else sample.trigger,
        outcome=outcome,
        due_at=each.due_at,
        started_at=each.due_at + timedelta(milliseconds=5),
        finished_at=each.finished_at,
        attempts=() if sample is None else (attempt,),
        error=ErrorClass.CONNECTION_REFUSED if outcome.down else None,
        message="" if sample is None else sample.message,
        reason=ReasonCode.UNKNOWN if is_unknown else None,
    )
