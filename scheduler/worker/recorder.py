"""Records the results of runs, in groups.

A result waits for a moment, so that many share one transaction (SQLite) or request (Azure), which costs more than its
content. If no queue delivers tickets again, results wait in a backlog while the store is unavailable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from jobs.ports import Clock
from jobs.runs import Run
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.runs.codec import encode_finished
from scheduler.stores.runs.open_runs import ClaimLost, RunResult
from scheduler.stores.runs.repository import Runs
from scheduler.worker.store_outages import Backlog, BacklogState, UnwrittenResult

_log = logging.getLogger("scheduler.worker")

RECORD_BACKOFF = (0.2, 1.0, 3.0)
"""Seconds between tries to record a run while the store is unavailable."""
MAX_RESULTS_PER_WRITE = 120
"""Results that are written without further delay: they fill one request for each part of the history."""


class NotRecorded(StoreError):
    """The run finished, but could not be recorded. `run`: its result."""

    def __init__(self, run: Run, reason: StoreError) -> None:
        super().__init__(str(reason))
        self.run = run


PendingResult = tuple[RunResult, asyncio.Future[None]]


MAX_BACKLOG_BYTES = 32 * 1024 * 1024
"""Bytes of results that wait for the store: some 3,800 usual results, three minutes of 20 runs a second."""
MAX_NAMED_LOSSES = 20
"""Runs that the log names if results are lost."""


class ResultRecorder:
    """`max_delay`: seconds for which a result waits for others at most.

    `backlog_bytes`: size of the results that wait while the store is unavailable; 0: they fail after some seconds.
    `backlog_timeout`: seconds after which a waiting result fails; None: never, and `on_backlogged` is called once with
    each run whose result has to wait.
    """

    def __init__(
        self,
        runs: Runs,
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        max_delay: float,
        backlog_bytes: int = 0,
        backlog_timeout: float | None = None,
        on_backlogged: Callable[[Run], None] = lambda run: None,
    ) -> None:
        self._runs = runs
        self._dead_letters = dead_letters
        self._clock = clock
        self.max_delay = max_delay
        self._pending: list[PendingResult] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog = Backlog(self._write_backlog, clock, backlog_bytes)
        self._backlog_timeout = backlog_timeout
        self._on_backlogged = on_backlogged
        self._errors_by_run: dict[str, StoreError] = {}
        """The last errors of results that are not recorded yet, by run id."""

    @property
    def backlog(self) -> BacklogState:
        """The results that wait for the store."""
        return self._backlog.state

    def log_losses(self) -> None:
        """Log the results that are lost because the program ends."""
        if not self._errors_by_run:
            return
        ids = sorted(self._errors_by_run)
        more = f" and {len(ids) - MAX_NAMED_LOSSES} more" if len(ids) > MAX_NAMED_LOSSES else ""
        _log.error(
            "could not record %d results before the end: %s; they are lost, and the next start recovers these runs as "
            "interrupted: %s%s",
            len(ids),
            next(iter(self._errors_by_run.values())),
            ", ".join(ids[:MAX_NAMED_LOSSES]),
            more,
        )

    async def record(self, end: RunResult, letter: DeadLetter | None = None, *, max_delay: float | None = None) -> bool:
        """Write the finished run, with retries over an outage of the store; its dead letter first, so none is lost.

        `max_delay`: seconds for which the result waits for others (None: the default; 0: not at all). Returns False if
        another process took the run over: the result is dropped.

        Raises:
            NotRecorded: the store stayed unavailable, and the result cannot wait any longer.
        """
        try:
            error = self._backlog.unavailable_error or await self._write_with_retry(
                end, letter, self.max_delay if max_delay is None else max_delay
            )
            if error is not None:
                await self._wait_in_backlog(end, letter, error)
        except ClaimLost:
            if letter is not None:
                await self._discard_unless_down(letter, end.run.id)
            _log.warning("could not record run %s: another process took it over; its result is dropped", end.run.id)
            return False
        finally:
            if self._errors_by_run:
                self._errors_by_run.pop(end.run.id, None)
        return True

    async def _write_with_retry(self, end: RunResult, letter: DeadLetter | None, within: float) -> StoreError | None:
        """Write the result, with retries over a short outage. Returns the last error, or None. Raises ClaimLost."""
        error: StoreError | None = None
        for pause in (0.0, *RECORD_BACKOFF):
            if error is not None:
                _log.warning("could not record run %s: %s; retrying", end.run.id, error)
                await self._clock.sleep(pause)
            try:
                if letter is not None:
                    await self._dead_letters.add(letter)
                await self._write_in_group(end, within)
                return None
            except ClaimLost:
                raise
            except StoreError as failed:
                error = self._errors_by_run[end.run.id] = failed
        return error

    async def _wait_in_backlog(self, end: RunResult, letter: DeadLetter | None, error: StoreError) -> None:
        """Wait in the backlog until the result is written. Raises ClaimLost, NotRecorded."""
        run = end.run
        if not self._backlog.max_bytes or not isinstance(error, StoreUnavailable):
            raise NotRecorded(run, error) from error
        size = len(encode_finished(run)) + (0 if letter is None else self._dead_letters.measure_row(letter))
        if not self._backlog.has_room(size):
            message = f"{error} (and the backlog is full with {self._backlog.state.count} results)"
            raise NotRecorded(run, StoreError(message)) from error
        self._errors_by_run[run.id] = error
        _log.error("could not record run %s: %s; its result waits for the store", run.id, error)
        if self._backlog_timeout is None:  # otherwise another process may run it again and publish that
            self._on_backlogged(run)
        try:
            async with asyncio.timeout(self._backlog_timeout):
                await self._backlog.wait_until_written(end, letter, size, error)
        except ClaimLost:
            raise
        except TimeoutError:
            raise NotRecorded(run, error) from error
        except StoreError as final:
            raise NotRecorded(run, final) from final

    async def _write_backlog(self, group: Sequence[UnwrittenResult]) -> Sequence[StoreError | None]:
        """Write the dead letters one by one, then the results: an error of one letter must not delay other results."""
        answers: dict[int, StoreError | None] = {}
        for number, one in enumerate(group):
            if one.letter is not None:
                try:
                    await self._dead_letters.add(one.letter)
                except StoreError as error:
                    answers[number] = error
        rest = [number for number in range(len(group)) if number not in answers]
        written = await self._runs.finish_all([group[number].end for number in rest]) if rest else ()
        answers |= dict(zip(rest, written, strict=True))
        return [answers[number] for number in range(len(group))]

    async def discard_dead_letter(self, letter_id: str) -> None:
        """Discard the dead letter that a dead owner may have stored for a run that has now succeeded."""
        try:
            await self._dead_letters.discard(letter_id)
        except StoreError as error:
            _log.warning("could not discard dead letter %s of a run that succeeded: %s; it stays", letter_id, error)

    async def _discard_unless_down(self, letter: DeadLetter, run_id: str) -> None:
        """Discard the dead letter of a run that another process took over, if the new owner's run has succeeded.

        Dead letters of one run share an id, and the new owner writes its own before it finishes the run. So while the
        run is open, the letter belongs to the new owner.
        """
        try:
            found = await self._runs.find(run_id)
        except StoreError as error:
            _log.warning("could not read the run of dead letter %s: %s; the letter stays", letter.id, error)
            return
        if found is not None and found.run is not None and not found.run.outcome.down:
            await self.discard_dead_letter(letter.id)

    def _write_in_group(self, end: RunResult, within: float) -> asyncio.Future[None]:
        """Write the result with the next group. The future raises StoreError."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._pending.append((end, written))
        if within <= 0 or len(self._pending) >= MAX_RESULTS_PER_WRITE:
            self._flush()
        elif self._timer is None or loop.time() + within < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_later(within, self._flush)
        return written

    def _flush(self) -> None:
        """Write the pending results now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._pending = self._pending, []
        if group:
            task = asyncio.get_running_loop().create_task(self._write_group(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write_group(self, group: Sequence[PendingResult]) -> None:
        answers: Sequence[BaseException | None]
        try:
            answers = await self._runs.finish_all([end for end, _ in group])
        except BaseException as error:
            # Any error ends the wait: a run must not wait without end.
            answers = [error] * len(group)
        for (_, written), answer in zip(group, answers, strict=True):
            if written.done():
                continue  # its task was cancelled
            if answer is None:
                written.set_result(None)
            else:
                written.set_exception(answer)
