"""Jobs that are written over the API on the Functions host: planned at once, and not again by the next tick."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from jobs.runs import Ticket
from scheduler.dispatch.azure_queue import AzureQueueDispatch
from tests.scheduler.functions.hosted import Hosted

DEFINITION = {"schedule": "every 10s", "check": {"kind": "http", "url": "http://127.0.0.1:9/"}}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Ticket]:
    """The tickets that were put on the queue."""
    tickets: list[Ticket] = []
    send = AzureQueueDispatch.send

    async def observed(self: AzureQueueDispatch, some: Sequence[Ticket], *, not_before: datetime | None = None) -> None:
        await send(self, some, not_before=not_before)
        tickets.extend(some)

    monkeypatch.setattr(AzureQueueDispatch, "send", observed)
    return tickets


def ids_of(tickets: Sequence[Ticket], job: str) -> list[str]:
    return [ticket.id for ticket in tickets if ticket.job == job]


async def put(hosted: Hosted, precondition: dict[str, str], **more: Any) -> None:
    reply = await hosted.worker.http(
        "PUT", "/api/jobs/new", key="manage", headers=precondition, body={"name": "new", **DEFINITION, **more}
    )
    assert reply.status in (200, 201), reply.body


async def test_a_written_job_is_on_the_queue_before_the_next_tick_which_doubles_nothing(
    hosted: Hosted, sent: list[Ticket]
) -> None:
    assert (await hosted.worker.timer("tick")).failure is None
    messages = await hosted.queue.length()

    await put(hosted, {"If-None-Match": "*"})
    at_once = ids_of(sent, "new")
    assert len(at_once) >= 6  # for what is left of 75 s
    assert await hosted.queue.length() >= messages + 6

    assert (await hosted.worker.timer("tick")).failure is None
    planned = ids_of(sent, "new")
    assert len(set(planned)) == len(planned)
    assert planned[: len(at_once)] == at_once


async def test_a_changed_schedule_adds_only_the_instants_that_are_new(hosted: Hosted, sent: list[Ticket]) -> None:
    await hosted.worker.timer("tick")
    await put(hosted, {"If-None-Match": "*"})
    before = set(ids_of(sent, "new"))

    await put(hosted, {"If-Match": "*"}, schedule="every 5s")
    await hosted.worker.timer("tick")

    planned = ids_of(sent, "new")
    assert before < set(planned)
    assert len(set(planned)) == len(planned)


async def test_a_job_that_is_written_before_the_first_tick_is_left_to_it(hosted: Hosted, sent: list[Ticket]) -> None:
    await put(hosted, {"If-None-Match": "*"})
    assert ids_of(sent, "new") == []

    await hosted.worker.timer("tick")

    planned = ids_of(sent, "new")
    assert len(set(planned)) == len(planned) >= 6
