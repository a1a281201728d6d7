"""Processes that deliver are killed with SIGKILL at any line of the delivery, while incidents open and end.

Each message arrives, in order; by its deduplication key a service knows a repetition, so it learns each transition
once.

`CHANNEL_KILLS=1000 ./dev test tests/acceptance/test_channels_killed.py -s` prints how many messages were repeated.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.incidents.values import Incident, TransitionKind
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.outbox import OutboxRows
from scheduler.stores.port import Store
from scheduler.stores.sqlite.store import open_sqlite
from tests.acceptance.delivery_process import DeliveryOrder
from tests.jobs.incidents.world import MINUTE, World
from tests.parts.fork_server import ForkServer
from tests.parts.http_server import Answer
from tests.parts.mail_server import MailServerPart
from tests.parts.notifications import NotificationService
from tests.parts.proc import clean_environment
from tests.scheduler.stores.alerting.passes import StoredPasses

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("CHANNEL_KILLS", "8"))
SEED = int(os.environ.get("KILLS_SEED", "1"))
JOBS = ("checkout", "search", "payments")
LINES = 3500
"""Of the delivery of what a round stores, about."""
ANSWER = Answer(delay=0.005)


class Incidents:
    """Jobs that fail and recover at random, as passes of the engine store it."""

    def __init__(self, store: Store, channels: Sequence[str], luck: random.Random) -> None:
        self._luck = luck
        self.world = World()
        self.world.channels = channels
        self.world.now = datetime.now(UTC) - 600 * MINUTE
        self._passes = StoredPasses(store, self.world)
        self._failing: set[str] = set()

    async def change(self, jobs: Sequence[str]) -> None:
        for job in jobs:
            if job in self._failing:
                self.world.recover(job)
            else:
                self.world.fail(job)
            self._failing ^= {job}
        await self._passes.write_alerts(*jobs)
        self.world.now += MINUTE
        await self._passes.run()

    async def change_some(self) -> None:
        await self.change([job for job in JOBS if self._luck.random() < 0.7])

    async def recover_all(self) -> None:
        await self.change(sorted(self._failing))


async def kill_deliveries(
    server: ForkServer, path: Path, channels: Mapping[str, Mapping[str, Any]], incidents: Incidents, luck: random.Random
) -> int:
    """Return how many processes were killed; the others were done before their line."""
    killed = 0
    for number in range(KILLS):
        await incidents.change_some()
        killed += await run_delivery(server, DeliveryOrder(str(path), channels, str(number), luck.randint(1, LINES)))
    await incidents.recover_all()
    await run_delivery(server, DeliveryOrder(str(path), channels, "last"))
    return killed


async def run_delivery(server: ForkServer, order: DeliveryOrder) -> bool:
    """Return whether the process was killed."""
    pid = await server.fork(order.encode())
    with suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            await asyncio.sleep(0.002)
    return not await asyncio.to_thread(order.mark.exists)


async def verify(store: Store, channel: str, arrived: Sequence[tuple[str, int]]) -> None:
    """The record has each notification once, and what arrived is in order and complete. `arrived`: incident, number."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for incident, number in arrived:
        if number not in numbers[incident]:
            numbers[incident].append(number)
    log = IncidentLog(store)
    page = await log.list_page(limit=1000)
    for each in page.incidents:
        assert numbers[each.id] == sorted(numbers[each.id]), f"{each.id} in {channel} is out of order"
        await verify_incident(log, each, channel, numbers[each.id])


async def verify_incident(log: IncidentLog, incident: Incident, channel: str, arrived: Sequence[int]) -> None:
    decisions = (await log.list_decisions(incident.id, limit=1000)).entries
    keys = Counter(each.inputs["dedup_key"] for each in decisions if each.code == "delivered")
    assert set(keys.values()) == {1}, f"recorded twice: {keys}"
    transitions = (await log.list_transitions(incident.id, limit=1000)).entries
    ends = [each.number for each in transitions if each.kind is TransitionKind.RESOLVED]
    assert all(f"{incident.id}:{number}:{channel}" in keys for number in ends), "an end was not delivered"
    assert arrived[-1] == ends[-1], "the last end did not arrive"


async def test_what_is_sent_by_processes_that_are_killed_arrives_once(tmp_path: Path) -> None:
    luck, path = random.Random(SEED), tmp_path / "alerts.db"
    store = await open_sqlite(path)
    async with NotificationService(ANSWER) as hook, NotificationService(ANSWER) as pager, MailServerPart() as mail:
        channels = {
            "hook": {"kind": "webhook", "url": hook.url},
            "ticket": {"kind": "webhook", "url": pager.url},
            "mail": {
                "kind": "email",
                "host": "localhost",
                "port": mail.port,
                "security": "none",
                "from": "scheduler@example.com",
                "to": ["team@example.com"],
            },
        }
        with (tmp_path / "output.txt").open("wb") as output:
            environ = clean_environment({})
            async with ForkServer("tests.acceptance.delivery_process", environ, ROOT, output) as server:
                killed = await kill_deliveries(server, path, channels, Incidents(store, tuple(channels), luck), luck)
        assert not await OutboxRows(store).list_channels(), (tmp_path / "output.txt").read_text()
        repeated = 0
        for name, service in (("hook", hook), ("ticket", pager)):
            bodies = [request.json() for request in service.requests]
            keys = [request.headers["webhook-id"] for request in service.requests]
            assert len(set(keys)) == len({(body["incident"], body["number"]) for body in bodies})
            repeated += len(keys) - len(set(keys))
            await verify(store, name, [(body["incident"], body["number"]) for body in bodies])
        ids = [str(each["Message-ID"]) for each in mail.mails]
        repeated += len(ids) - len(set(ids))
    incidents = len((await IncidentLog(store).list_page(limit=1000)).incidents)
    await store.aclose()
    sent = len(ids) + len(hook.requests) + len(pager.requests)
    print(f"{killed} of {KILLS} killed, {incidents} incidents, {sent} messages, {repeated} repeated")
    assert killed >= KILLS // 3
    assert repeated <= killed * len(channels)
