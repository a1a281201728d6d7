"""The configured store: runs are executed by this process, as by `run`. Implements GateScheduler. Used by `gate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from scheduler.cli.delivery.store_scheduler import StoreScheduler
from scheduler.cli.gate.port import GateUnavailable, ObservedRun, observe_run
from scheduler.dispatch.port import DispatchError
from scheduler.errors import OperationError
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.command_caller import command_caller
from scheduler.stores.port import StoreError

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.cli.delivery.port import RunningJob

_PAGE: Final = 500


class StoreGateScheduler:
    """See GateScheduler."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def read_now(self) -> datetime:
        """See GateScheduler.read_now."""
        return self._program.clock.now()

    async def read_jobs(self) -> Sequence[RunningJob]:
        """See GateScheduler.read_jobs."""
        with _translated():
            return await StoreScheduler(self._program).read_jobs()

    async def mark(self, text: str, tags: Mapping[str, str], at: datetime) -> None:
        """See GateScheduler.mark."""
        with _translated():
            await self._program.operations.markers.create(text, tags=tags, at=at, caller=command_caller())

    async def start_runs(self, names: Sequence[str]) -> Sequence[str]:
        """See GateScheduler.start_runs."""
        found: list[str] = []
        for name in names:
            try:
                with _translated():
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
                with _translated():
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
def _translated() -> Iterator[None]:
    try:
        yield
    except (StoreError, DispatchError, OperationError) as error:
        raise GateUnavailable(str(error)) from None
