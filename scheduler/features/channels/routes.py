"""The routes that list and test notification channels, and send again or discard what they could not deliver."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path
from pydantic import Field

from scheduler.api.routing import ApiRouter, CallerDep, Continuation, Limit, ServicesDep
from scheduler.features.channels.models import (
    LETTER_ID,
    ChannelListModel,
    ChannelTestModel,
    RetriedModel,
    UndeliveredList,
)
from scheduler.model_base import RequestModel, example

router = ApiRouter("channels")

ChannelName = Annotated[str, Path(max_length=100, description="The channel's name", examples=["team-teams"])]
LetterId = Annotated[
    str, Path(max_length=60, description="The id of an undelivered notification", examples=[LETTER_ID])
]
_Id = Annotated[str, Field(max_length=60)]


class RetryRequest(RequestModel):
    """`ids`: of undelivered notifications; empty: all of the channel."""

    model_config = example({"ids": [LETTER_ID]})

    ids: Annotated[list[_Id], Field(max_length=500)] = []


@router.read("/api/channels")
async def list_channels(services: ServicesDep) -> ChannelListModel:
    """List the notification channels: their last success, since when they fail, and what they could not deliver."""
    return await services.channels.list_channels()


@router.read("/api/channels/{channel}/undelivered")
async def list_undelivered(
    services: ServicesDep, channel: ChannelName, limit: Limit = 50, continuation: Continuation = None
) -> UndeliveredList:
    """List the notifications for a channel that neither it nor its fallback channels could deliver."""
    return await services.channels.list_undelivered(channel, limit=limit, after=continuation or "")


class ChannelTestRequest(RequestModel):
    """`incident`: whose opening the message shows; null: the latest one, or a sample."""

    model_config = example({"incident": None})

    incident: Annotated[str, Field(max_length=60)] | None = None


@router.operate("/api/channels/{channel}/test")
async def send_channel_test(
    services: ServicesDep, caller: CallerDep, channel: ChannelName, body: ChannelTestRequest | None = None
) -> ChannelTestModel:
    """Send a message to a channel that is marked as a test, and return what was sent and what the service answered."""
    incident = (body or ChannelTestRequest()).incident
    return await services.operations.channel_tests.send_test(channel, incident, caller=caller)


@router.operate("/api/channels/{channel}/undelivered/retry", problems=(HTTPStatus.CONFLICT,))
async def retry_undelivered(
    services: ServicesDep, caller: CallerDep, channel: ChannelName, body: RetryRequest | None = None
) -> RetriedModel:
    """Send undelivered notifications to their channel again. 409 without any."""
    ids = (body or RetryRequest()).ids
    return await services.operations.undelivered.retry(channel, ids, caller=caller)


@router.manage("/api/channels/{channel}/undelivered/{letter_id}", status_code=HTTPStatus.NO_CONTENT)
async def discard_undelivered(
    services: ServicesDep, caller: CallerDep, channel: ChannelName, letter_id: LetterId
) -> None:
    """Delete an undelivered notification permanently. The decisions of its incident record it."""
    await services.operations.undelivered.discard(channel, letter_id, caller=caller)
