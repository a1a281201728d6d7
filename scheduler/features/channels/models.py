"""Notification channels, their tests and what they could not deliver, as the API, the commands and the page show it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from scheduler.features.incidents.models import INCIDENT_ID, TransitionName
from scheduler.model_base import ListModel, ResponseModel, example_values

LETTER_ID = f"{INCIDENT_ID}.1"


class ChannelStateModel(ResponseModel):
    """A channel. `kind`, `fallback`: empty if no job file defines it any more. `summary`: its condition as a sentence.

    `waiting`: notifications to send. `delivered`, `given_up`: since the first one. `undelivered`: notifications that
    were given up, and neither sent again nor discarded.
    """

    model_config = example_values(
        name="team-teams",
        kind="teams",
        fallback="mail",
        condition="working",
        summary="last delivery 5m ago",
        failing_since=None,
        error="",
        retry_at=None,
        waiting=0,
        delivered=42,
        given_up=0,
        undelivered=0,
        url="/api/channels/team-teams/undelivered",
    )

    name: str
    kind: str
    fallback: str
    condition: Literal["working", "failing", "never_delivered"]
    summary: str
    last_success_at: datetime | None
    failing_since: datetime | None
    failures: int
    error: str
    retry_at: datetime | None
    waiting: int
    delivered: int
    given_up: int
    undelivered: int
    url: str


class ChannelListModel(ListModel[ChannelStateModel]):
    """All channels by name."""

    channels: list[ChannelStateModel]


class ChannelTestModel(ResponseModel):
    """What a test of a channel sent. `error`: why the channel did not accept it; empty if it did.

    `answers`: what the service answered. `incident`: whose opening the message shows; empty for a sample.
    `template_problem`: why the default text was sent instead of that of the templates; empty if it was not.
    `full_text`: everything below the title, with facts and links. `message_count`: 2 with the resolution of the test.
    """

    model_config = example_values(
        channel="team-teams",
        kind="teams",
        delivered=True,
        error="",
        answers=["example.webhook.office.com responded with status 202"],
        incident=INCIDENT_ID,
        title="TEST DOWN checkout since 03:01 (3 of 5 runs failed: status 503)",
        text="This is a test of the channel team-teams, requested by entra:anna. No action is required.",
        template_problem="",
        duration_ms=182.4,
        full_text="This is a test of the channel team-teams, requested by entra:anna. No action is required.",
        message_count=1,
    )

    channel: str
    kind: str
    delivered: bool
    error: str
    answers: list[str]
    incident: str
    title: str
    text: str
    template_problem: str
    duration_ms: float
    full_text: str = ""
    message_count: int = 1


class UndeliveredModel(ResponseModel):
    """A notification that no channel could deliver. `number`, `kind`: of the transition that it is about.

    `channels`: those that were tried, in order.
    """

    model_config = example_values(
        id=LETTER_ID,
        incident=INCIDENT_ID,
        number=1,
        kind="opened",
        channels=["team-teams", "mail"],
        error="Expected status 202, got 503.",
        url=f"/api/incidents/{INCIDENT_ID}",
    )

    id: str
    incident: str
    number: int
    kind: TransitionName
    channels: list[str]
    given_up_at: datetime
    error: str
    url: str


class UndeliveredList(ListModel[UndeliveredModel]):
    """What a channel could not deliver, oldest incident first. `continuation` fetches more; null on the last page."""

    undelivered: list[UndeliveredModel]
    continuation: str | None


class RetriedModel(ResponseModel):
    """Ids. `skipped`: another request sent them again or discarded them meanwhile."""

    model_config = example_values(retried=[LETTER_ID], skipped=[])

    retried: list[str]
    skipped: list[str]
