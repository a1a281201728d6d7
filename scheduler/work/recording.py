"""Records how runs ended, those that end close together in one go. Used by performing.

Results linger for a moment, so that many of them share a transaction (SQLite) or a request (Azure), which costs more
than most of what is in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from jobs.ports import Clock
from jobs.runs import Run
from scheduler.stores.claims import ClaimLost, End
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import StoreError
from scheduler.stores.runs import Runs

_log = logging.getLogger("scheduler.worker")

PATIENCE = (0.2, 1.0, 3.0)
"""Seconds between tries to record a finished run while the store is away."""
LARGEST_GROUP = 120
"""Results that do not linger any longer: as many as fill a request for each part of the history."""


class NotRecorded(StoreError):
    """The run is over, but the store did not take it. `run`: how it went."""

    def __init__(self, run: Run, reason: StoreError) -> None:
        super().__init__(str(reason))
        self.run = run


Waiting = tuple[End, asyncio.Future[None]]


class Recorder:
    """`linger`: seconds for which a result waits for others at the most."""

    def __init__(self, runs: Runs, dead_letters: DeadLetters, clock: Clock, *, linger: float) -> None:
        self._runs = runs
        self._dead_letters = dead_letters
        self._clock = clock
        self.linger = linger
        self._waiting: list[Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, end: End, letter: DeadLetter | None = None, *, within: float | None = None) -> bool:
        """Write the finished run, over a short absence of the store; its letter first, so that no crash loses it.

        `within`: seconds for which it waits for others (None: `linger`; 0: not at all). Returns False if the run was
        taken over by somebody else: the result is dropped.

        Raises:
            NotRecorded: the store stayed away.
        """
        for pause in (*PATIENCE, None):
            try:
                if letter is not None:
                    await self._dead_letters.add(letter)
                await self._in_a_group(end, self.linger if within is None else within)
                return True
            except ClaimLost:
                if letter is not None:
                    await self._discard_unless_down(letter, end.run.id)
                _log.warning("run %s outlasted its lease and was taken over; its result is dropped", end.run.id)
                return False
            except StoreError as error:
                if pause is None:
                    raise NotRecorded(end.run, error) from error
                _log.warning("run %s is not recorded yet: %s", end.run.id, error)
                await self._clock.sleep(pause)
        raise AssertionError("the last pause is None")

    async def discard_letter(self, letter_id: str) -> None:
        """Discard the letter that an owner that died may have kept of a run that has now succeeded."""
        try:
            await self._dead_letters.discard(letter_id)
        except StoreError as error:
            _log.warning("dead letter %s stays, though its run was taken over: %s", letter_id, error)

    async def _discard_unless_down(self, letter: DeadLetter, run_id: str) -> None:
        """Discard the letter of a run that was taken over, once the new owner's run has succeeded.

        Letters of one run share an id, and the new owner writes its own before it finishes the run: as long as the
        run is open, the letter is the new owner's to keep or to discard.
        """
        try:
            found = await self._runs.get(run_id)
        except StoreError as error:
            _log.warning("dead letter %s stays, as its run cannot be read: %s", letter.id, error)
            return
        if found is not None and found.run is not None and not found.run.outcome.down:
            await self.discard_letter(letter.id)

    async def _in_a_group(self, end: End, within: float) -> None:
        """Raises what finishing it raises."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append((end, written))
        if within <= 0 or len(self._waiting) >= LARGEST_GROUP:
            self._no_longer()
        elif self._timer is None or loop.time() + within < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_later(within, self._no_longer)
        await written

    def _no_longer(self) -> None:
        """What lingers is written now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._waiting = self._waiting, []
        if group:
            task = asyncio.get_running_loop().create_task(self._write(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write(self, group: Sequence[Waiting]) -> None:
        answers: Sequence[BaseException | None]
        try:
            answers = await self._runs.finish_all([end for end, _ in group])
        except BaseException as error:
            # Whatever it is, nobody must wait for ever.
            answers = [error] * len(group)
        for (_, written), answer in zip(group, answers, strict=True):
            if written.done():
                continue  # nobody waits for it any more
            if answer is None:
                written.set_result(None)
            else:
                written.set_exception(answer)
