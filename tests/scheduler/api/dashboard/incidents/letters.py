"""Notifications that could not be delivered, for the tests of the pages."""

from __future__ import annotations

from dataclasses import replace

from jobs.incidents.values import Notification, TransitionKind
from jobs.notifications.port import OutboxChanges, UndeliveredNotification
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import START


async def store_letters(client: ApiClient, incident: str, *numbers: int) -> None:
    """Let the channel mail give up notifications of these transitions."""
    outbox = client.shop.repositories.outbox_rows
    state = replace(await outbox.read_channel("mail"), failing_since=START, error="got 503", given_up=len(numbers))
    letters = tuple(
        UndeliveredNotification(
            Notification(incident, number, TransitionKind.OPENED, "mail", START), ("mail",), START, "got 503"
        )
        for number in numbers
    )
    await outbox.commit(OutboxChanges(state, dead_letters=letters))
