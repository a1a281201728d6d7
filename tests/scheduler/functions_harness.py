"""A worker's shop with a queue and all that the Functions host's triggers do with it, for tests on virtual time."""

from __future__ import annotations

from scheduler.hosts.functions.queue import QueueHandler
from scheduler.hosts.functions.timer import ChangedJobPlanner, TimerHandler
from tests.scheduler.fakes import Sent, WorkerHarness


class FunctionsHarness:
    """`ticks`: what the timer does; `changes`: what follows a changed job; `work`: what the queue's triggers do."""

    def __init__(self, shop: WorkerHarness) -> None:
        self.shop, self.dispatch = shop, Sent()
        self.ticks = TimerHandler(
            shop.catalog,
            shop.runs,
            shop.worker,
            self.dispatch,
            shop.cursors,
            shop.marks,
            shop.pauses,
            shop.dead_letters,
            shop.clock,
        )
        self.changes = ChangedJobPlanner(shop.catalog, self.dispatch, shop.cursors, shop.marks, shop.pauses, shop.clock)
        self.work = QueueHandler(
            shop.catalog,
            shop.runs,
            shop.worker,
            self.dispatch,
            shop.dead_letters,
            shop.clock,
            owner="burial",
        )

    @property
    def planned(self) -> list[str]:
        return [ticket.id for tickets, _ in self.dispatch.sent for ticket in tickets]
