"""A running scheduler, over its API. Implements GateScheduler. Used by `gate --url`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from jobs.formats.instants import format_iso_instant
from jobs.ports import Clock
from scheduler.cli.gate.port import GateUnavailable, ObservedRun, observe_run
from scheduler.features.delivery.api_scheduler import ApiScheduler
from scheduler.features.delivery.remote import RemoteApi, RemoteError

if TYPE_CHECKING:
    from scheduler.features.delivery.port import RunningJob

MAX_READ_SINGLY: Final = 30
"""Jobs whose runs are read one by one. Of more jobs, all runs are read: a key has 600 reads a minute."""
MAX_STARTED_TOGETHER: Final = 500


class ApiGateScheduler:
    """See GateScheduler."""

    def __init__(self, api: RemoteApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def read_now(self) -> datetime:
        """See GateScheduler.read_now. The header Date has whole seconds."""
        with _translated():
            text = await self._api.read_date("/api/health/live")
        try:
            return parsedate_to_datetime(text).astimezone(UTC)
        except ValueError:
            return self._clock.now()

    async def read_jobs(self) -> Sequence[RunningJob]:
        """See GateScheduler.read_jobs."""
        with _translated():
            return await ApiScheduler(self._api, self._clock).read_jobs()

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None:
        """See GateScheduler.mark."""
        with _translated():
            await self._api.post("/api/markers", {"text": text, "tags": dict(tags), "at": at.isoformat()})

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        """See GateScheduler.start_runs."""
        found: list[str] = []
        for start in range(0, len(names), MAX_STARTED_TOGETHER):
            some = [*names[start : start + MAX_STARTED_TOGETHER]]
            with _translated():
                report = await self._api.post("/api/jobs/run", {"names": some, "limit": MAX_STARTED_TOGETHER})
            found += (f"{each['job']}: {each['message']}" for each in report["jobs"] if each["result"] != "done")
        return found

    async def read_runs(self, names: Sequence[str], since: datetime, until: datetime | None) -> Sequence[ObservedRun]:
        """See GateScheduler.read_runs."""
        params: dict[str, Any] = {"from": format_iso_instant(since, precise=True)}
        if until is not None:
            params["to"] = format_iso_instant(until - timedelta(milliseconds=1), precise=True)
        chosen, rows = frozenset(names), list[Mapping[str, Any]]()
        with _translated():
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
def _translated() -> Iterator[None]:
    try:
        yield
    except RemoteError as error:
        raise GateUnavailable(str(error)) from None
