"""Overlap: what becomes of a run that falls due while another one of its job goes on.

Within a process it is exact: who was let in, and who waits, is known here. Where other processes may be at the job's
runs too, the store's open runs are looked at as well; and where runs take their turns, the turn is a slot in the store,
so that no two of them go on together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.catalog import Entry
from scheduler.gates.calls import LATEST, Calls, next_look
from scheduler.gates.elsewhere import Elsewhere, RunsElsewhere
from scheduler.gates.lines import Line, Place
from scheduler.gates.overlap_rules import Decision, Others, asked_by, decide
from scheduler.gates.port import Skip, Verdict, Wait

REPLAY_LOOKS_AGAIN = timedelta(seconds=5)
"""After which a replay that waits for another process's run looks again; it is in no hurry."""
SETTLES_WITHIN = timedelta(seconds=0.25)
"""The same for a run whose job's other run may be over, and its end just not be recorded yet."""

CancelHere = Callable[[str, str], bool]
"""Ends the run of this id, given how it was asked for; False if it does not go on in this process: Going.cancel."""


class OverlapGate:
    """`elsewhere`: None if every run is in this process."""

    def __init__(self, clock: Clock, calls: Calls, cancel: CancelHere, elsewhere: Elsewhere | None = None) -> None:
        self._clock = clock
        self._calls = calls
        self._cancel = cancel
        self._elsewhere = elsewhere
        self._lines: dict[str, Line] = {}

    def concerns(self, ticket: Ticket, entry: Entry) -> bool:
        # Also where runs may overlap: the job may be changed while they go on, and the next one must know of them.
        return True

    async def ask(self, ticket: Ticket, entry: Entry) -> Verdict:
        line = self._lines.setdefault(ticket.job, Line())
        if self._elsewhere is None and not line:
            # The fast path: nobody is there to be overlapped.
            line.inside[ticket.id] = Place.of(ticket)
            return None
        if entry.job.overlap == "allow" and not ticket.trigger.is_rerun:
            line.inside[ticket.id] = Place.of(ticket)
            return None
        if ticket.id in line.inside:
            return await self._still_in(line, ticket, entry)
        elsewhere = RunsElsewhere()
        accepted = ticket.id in line.accepted
        decision = self._decide(line, ticket, entry, elsewhere, accepted=accepted)
        if decision.kind != "skip" and (decision.kind == "wait" or self._looks_elsewhere(entry)):
            line.waiting[ticket.id] = Place.of(ticket)
        is_open = decision.kind == "go" or (decision.kind == "wait" and not accepted)
        if is_open and self._elsewhere is not None and self._looks_elsewhere(entry):
            elsewhere = await self._elsewhere.look(ticket, entry, line.known())
            # While that took its time, others may have come.
            decision = self._decide(line, ticket, entry, elsewhere, accepted=accepted)
            if decision.kind == "go" and entry.job.overlap != "skip":
                decision = await self._take_turn(ticket, entry)
        return await self._act(line, ticket, entry, decision, elsewhere)

    async def leave(self, ticket: Ticket, entry: Entry) -> None:
        line = self._lines.get(ticket.job)
        if line is None:
            return
        was_inside = line.leave(ticket.id)
        if self._elsewhere is not None and self._looks_elsewhere(entry):
            await self._elsewhere.leave(ticket, was_inside=was_inside)
        if not line:
            self._lines.pop(ticket.job, None)
            return
        waiting = line.in_order()
        for run_id in waiting if entry.job.overlap == "cancel_previous" else waiting[:1]:
            self._calls.call(run_id)

    def _looks_elsewhere(self, entry: Entry) -> bool:
        return self._elsewhere is not None and entry.job.overlap != "allow"

    def _decide(
        self, line: Line, ticket: Ticket, entry: Entry, elsewhere: RunsElsewhere, *, accepted: bool
    ) -> Decision:
        mode = entry.job.overlap
        here = line.others(Place.of(ticket), mode)
        others = Others(
            going=_merged(here.going, elsewhere.going),
            # Queued ones take their turns where runs do; a newer one does not wait for what it replaces.
            ahead=_merged(here.ahead, elsewhere.queued) if mode.startswith("buffer") else here.ahead,
            waiting=_merged(here.waiting, elsewhere.queued),
            newer=_merged(here.newer, elsewhere.newer),
        )
        return decide(mode, others, is_replay=ticket.trigger.is_rerun, accepted=accepted)

    async def _still_in(self, line: Line, ticket: Ticket, entry: Entry) -> Verdict:
        """One that was let in, and waits at another gate: a newer one may have taken its place, or its turn be lost."""
        if (replaced := self._replaced(line, ticket, entry)) is not None:
            return replaced
        if entry.job.overlap != "skip" and self._looks_elsewhere(entry):
            decision = await self._take_turn(ticket, entry)
            if decision.kind == "wait":
                return Wait(self._clock.now() + LATEST, decision.reason)
        return None

    def _replaced(self, line: Line, ticket: Ticket, entry: Entry) -> Skip | None:
        if entry.job.overlap != "cancel_previous" or ticket.trigger.is_rerun:
            return None
        newer = replace(line.others(Place.of(ticket), entry.job.overlap), going=(), ahead=())
        decision = decide(entry.job.overlap, newer, is_replay=False)
        return Skip(decision.reason, decision.asked) if decision.kind == "skip" else None

    async def _take_turn(self, ticket: Ticket, entry: Entry) -> Decision:
        assert self._elsewhere is not None, "it is looked at"
        holder = await self._elsewhere.enter(ticket, entry)
        if holder is None:
            return Decision("go")
        return Decision(
            "wait", f"run {holder or 'of another process'} of its job goes on (overlap: {entry.job.overlap})"
        )

    async def _act(
        self, line: Line, ticket: Ticket, entry: Entry, decision: Decision, elsewhere: RunsElsewhere
    ) -> Verdict:
        if decision.kind == "go":
            line.waiting.pop(ticket.id, None)
            line.inside[ticket.id] = Place.of(ticket)
            return None
        now = self._clock.now()
        if decision.kind == "skip":
            settles_at = elsewhere.settles_at
            if entry.job.overlap == "skip" and settles_at is not None and settles_at > now:
                return Wait(min(settles_at, now + SETTLES_WITHIN), decision.reason)
            return Skip(decision.reason, decision.asked)
        since = line.accepted.setdefault(ticket.id, now)
        first = line.in_order()[0]
        if not line.inside and first != ticket.id:
            # Perhaps what it waits for elsewhere is over by now.
            self._calls.call(first)
        if self._elsewhere is not None and self._looks_elsewhere(entry):
            await self._elsewhere.show(ticket, entry)
        if decision.cancel:
            await self._end(line, ticket, decision.cancel)
        is_replay = ticket.trigger.is_rerun
        until = now + REPLAY_LOOKS_AGAIN if is_replay else next_look(since, now, is_first=first == ticket.id)
        return Wait(until, decision.reason)

    async def _end(self, line: Line, ticket: Ticket, run_ids: tuple[str, ...]) -> None:
        """End these for the ticket. Those that only wait are asked again, and see that they are replaced."""
        asked = asked_by(ticket.id)
        here = line.known()
        for run_id in run_ids:
            if run_id in here and not self._cancel(run_id, asked):
                self._calls.call(run_id)
        if self._elsewhere is not None:
            await self._elsewhere.cancel(ticket, [run_id for run_id in run_ids if run_id not in here], asked)


def _merged(here: tuple[str, ...], elsewhere: tuple[str, ...]) -> tuple[str, ...]:
    """Oldest first, as the ids of one job's runs differ by their due instants first."""
    return tuple(sorted((*here, *elsewhere)))
