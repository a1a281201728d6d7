"""The schedulers of a gate: a running one over its API, and the configured store, whose runs this process executes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from jobs.formats import format_iso_instant
from jobs.ports import Clock
from scheduler.dispatch.port import DispatchError
from scheduler.errors import OperationError
from scheduler.features.delivery.api_scheduler import ApiScheduler
from scheduler.features.delivery.remote import RemoteApi, RemoteError
from scheduler.features.delivery.store_scheduler import StoreScheduler
from scheduler.features.gate.watching import GateUnavailable, ObservedRun, observe_run
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.principal import command_caller
from scheduler.stores.port import StoreError

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.features.delivery.port import RunningJob

MAX_READ_SINGLY: Final = 30
"""Jobs whose runs are read one by one. Of more jobs, all runs are read: a key has 600 reads a minute."""
MAX_STARTED_TOGETHER: Final = 500
_PAGE: Final = 500


class ApiGateScheduler:
    """See GateScheduler."""

    def __init__(self, api: RemoteApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def read_now(self) -> datetime:
        """See GateScheduler.read_now. The header Date has whole seconds."""
        with _translated_from_api():
            text = await self._api.read_date("/api/health/live")
        try:
            return parsedate_to_datetime(text).astimezone(UTC)
        except ValueError:
            return self._clock.now()

    async def read_jobs(self) -> Sequence[RunningJob]:
        """See GateScheduler.read_jobs."""
        with _translated_from_api():
            return await ApiScheduler(self._api, self._clock).read_jobs()

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None:
        """See GateScheduler.mark."""
        with _translated_from_api():
            await self._api.post("/api/markers", {"text": text, "tags": dict(tags), "at": at.isoformat()})

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        """See GateScheduler.start_runs."""
        found: list[str] = []
        for start in range(0, len(names), MAX_STARTED_TOGETHER):
            some = [*names[start : start + MAX_STARTED_TOGETHER]]
            with _translated_from_api():
                report = await self._api.post("/api/jobs/run", {"names": some, "limit": MAX_STARTED_TOGETHER})
            found += (f"{each['job']}: {each['message']}" for each in report["jobs"] if each["result"] != "done")
        return found

    async def read_runs(self, names: Sequence[str], since: datetime, until: datetime | None) -> Sequence[ObservedRun]:
        """See GateScheduler.read_runs."""
        params: dict[str, Any] = {"from": format_iso_instant(since, precise=True)}
        if until is not None:
            params["to"] = format_iso_instant(until - timedelta(milliseconds=1), precise=True)
        chosen, rows = frozenset(names), list[Mapping[str, Any]]()
        with _translated_from_api():
            if len(names) > MAX_READ_SINGLY:
                rows += await self._api.get_lines("/api/exports/runs", params)
            else:
                for name in names:
                    rows += await self._api.get_lines("/api/exports/runs", {**params, "job": name})
        observed = (
            observe_run(row["job"], row["trigger"], row["outcome"], row["duration_ms"])
            for row in rows
            if row["job"] in chosen
        )
        return [run for run in observed if run is not None]


@contextmanager
def _translated_from_api() -> Iterator[None]:
    try:
        yield
    except RemoteError as error:
        raise GateUnavailable(str(error)) from None


class StoreGateScheduler:
    """See GateScheduler."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def read_now(self) -> datetime:
        """See GateScheduler.read_now."""
        return self._program.clock.now()

    async def read_jobs(self) -> Sequence[RunningJob]:
        """See GateScheduler.read_jobs."""
        with _translated_from_store():
            return await StoreScheduler(self._program).read_jobs()

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None:
        """See GateScheduler.mark."""
        with _translated_from_store():
            await self._program.operations.markers.create(text, tags=tags, at=at, caller=command_caller())

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        """See GateScheduler.start_runs."""
        found: list[str] = []
        for name in names:
            try:
                with _translated_from_store():
                    await self._program.operations.runs.run_now(name, caller=command_caller())
            except LookupError as error:  # the job was removed meanwhile
                found.append(f"{name}: {error}")
        return found

    async def read_runs(self, names: Sequence[str], since: datetime, until: datetime | None) -> Sequence[ObservedRun]:
        """See GateScheduler.read_runs."""
        due = TimeRange(since, None if until is None else until - timedelta(milliseconds=1))
        found: list[ObservedRun] = []
        for name in names:
            continuation: str | None = None
            while True:
                with _translated_from_store():
                    page = await self._program.queries.list_runs(
                        job=name, due=due, limit=_PAGE, continuation=continuation
                    )
                for record in page.records:
                    run, ticket = record.run, record.ticket
                    outcome = str(record.state if run is None else run.outcome)
                    observed = observe_run(name, str(ticket.trigger), outcome, None if run is None else run.duration_ms)
                    if observed is not None:
                        found.append(observed)
                continuation = page.continuation
                if continuation is None:
                    break
        return found


@contextmanager
def _translated_from_store() -> Iterator[None]:
    try:
        yield
    except (StoreError, DispatchError, OperationError) as error:
        raise GateUnavailable(str(error)) from None
