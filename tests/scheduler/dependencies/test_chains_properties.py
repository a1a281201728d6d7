"""Random chains: each job has one run, which ends as it must, in whatever order runs end and are followed up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runs import Outcome, Run, Ticket
from scheduler.stores.port import Row, StoreUnavailable
from tests.scheduler.dependencies.chain_parts import Line, waits_for
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryStore

ROOTS = ("root", "other")
"""Two jobs that are due at the same instant."""
NAMES = "abcdefg"
Parents = Mapping[str, list[str]]
Ends = Mapping[str, Outcome]


@st.composite
def chains(draw: st.DrawFn) -> Parents:
    """Jobs behind the roots, each depending on some of those before it."""
    return {
        name: draw(st.lists(st.sampled_from([*ROOTS, *NAMES[:place]]), unique=True, min_size=1, max_size=3))
        for place, name in enumerate(NAMES)
    }


ENDS = st.fixed_dictionaries(
    dict.fromkeys((*ROOTS, *NAMES), st.sampled_from([Outcome.SUCCEEDED] * 4 + [Outcome.FAILED]))
)


def expected(parents: Parents, ends: Ends) -> dict[str, Outcome]:
    """How each job's run ends."""
    found = {root: ends[root] for root in ROOTS}
    for name, above in parents.items():
        runs = all(found[one] is Outcome.SUCCEEDED for one in above)
        found[name] = ends[name] if runs else Outcome.SKIPPED
    return found


def line_of(parents: Parents, store: MemoryStore | None = None) -> Line:
    roots = [entry(root, "every 1m") for root in ROOTS]
    return Line(*roots, *(waits_for(name, *above) for name, above in parents.items()), store=store)


async def check(line: Line, parents: Parents, ends: Ends) -> None:
    for name, outcome in expected(parents, ends).items():
        (record,) = await line.history(name)
        assert record.run is not None
        assert record.run.outcome is outcome
        assert record.run.correlation_id in {f"{root}@20260301T120000.000Z" for root in ROOTS}


@given(chains(), ENDS, st.data())
@settings(deadline=None)
async def test_runs_may_end_in_any_order_and_be_followed_up_again_at_any_time(
    parents: Parents, ends: Ends, data: st.DataObject
) -> None:
    line = line_of(parents)
    in_flight = [line.scheduled(root) for root in ROOTS]
    over: list[Run] = []
    while in_flight:
        ticket = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
        over.append(await line.ends(ticket, ends[ticket.job]))
        await line.dependents.start_dependents(data.draw(st.sampled_from(over)))
        known = {one.id for one in in_flight} | {run.id for run in over}
        in_flight += {one.id: one for one in line.sent() if one.id not in known}.values()
        line.clock.move(0.5)

    await check(line, parents, ends)


class Slow(MemoryStore):
    """Others go on before each request, and some requests fail."""

    def __init__(self, luck: random.Random) -> None:
        super().__init__()
        self._luck = luck
        self.fails = 0
        """How many requests may still fail."""

    async def _others(self) -> None:
        for _ in range(self._luck.randrange(4)):
            await asyncio.sleep(0)
        if self.fails and self._luck.random() < 0.1:
            self.fails -= 1
            raise StoreUnavailable("this request failed")

    async def apply(self, *changes: Any) -> tuple[str, ...]:
        await self._others()
        return await super().apply(*changes)

    async def get_row(self, *place: str) -> Row | None:
        await self._others()
        return await super().get_row(*place)

    async def list_rows(self, *place: str, **more: Any) -> Sequence[Row]:
        await self._others()
        return await super().list_rows(*place, **more)


@given(chains(), ENDS, st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
async def test_runs_may_be_followed_up_at_the_same_time_and_again_after_a_failure(
    parents: Parents, ends: Ends, seed: int
) -> None:
    luck = random.Random(seed)
    store = Slow(luck)
    line = line_of(parents, store)
    await asyncio.gather(*(line.recorded(line.scheduled(root), ends[root]) for root in ROOTS))
    rest = [record.run for root in ROOTS for record in await line.history(root) if record.run is not None]
    known: set[str] = set()
    for failures in (3, 3, 3, 3, 3, *[0] * 100):
        store.fails = failures
        answers = await asyncio.gather(*map(line.dependents.start_dependents, rest), return_exceptions=True)
        store.fails = 0
        assert all(answer is None or isinstance(answer, StoreUnavailable) for answer in answers)
        failed = [run for run, answer in zip(rest, answers, strict=True) if answer is not None]
        tickets: dict[str, Ticket] = {one.id: one for one in line.sent() if one.id not in known}
        known |= tickets.keys()
        line.clock.move(0.5)
        rest = failed + [await line.recorded(one, ends[one.job]) for one in tickets.values()]
        if not rest:
            break

    await check(line, parents, ends)
