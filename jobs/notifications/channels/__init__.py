"""The channels: one module each, with its model and its sender.

A new channel is a module here, its line in CHANNELS, and its section in docs/alerting-channels.md. Its model derives
from base.ChannelBase and implements jobs.notifications.port.ChannelModel; its sender uses http_posting.post. Libraries
of one channel are imported in `send`: job files are read without them.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Discriminator, Tag

from jobs.notifications.channels.alertmanager import AlertmanagerChannel
from jobs.notifications.channels.apprise import AppriseChannel
from jobs.notifications.channels.azure_action_group import AzureActionGroupChannel
from jobs.notifications.channels.base import ChannelBase
from jobs.notifications.channels.datadog_event import DatadogEventChannel
from jobs.notifications.channels.email import EmailChannel
from jobs.notifications.channels.ntfy import NtfyChannel
from jobs.notifications.channels.opsgenie import OpsgenieChannel
from jobs.notifications.channels.pagerduty import PagerDutyChannel
from jobs.notifications.channels.slack import SlackChannel
from jobs.notifications.channels.teams import TeamsChannel
from jobs.notifications.channels.webhook import WebhookChannel

CHANNELS: tuple[type[ChannelBase], ...] = (
    SlackChannel,
    TeamsChannel,
    EmailChannel,
    NtfyChannel,
    WebhookChannel,
    PagerDutyChannel,
    OpsgenieChannel,
    AzureActionGroupChannel,
    DatadogEventChannel,
    AlertmanagerChannel,
    AppriseChannel,
)
"""The models of all channels, in the order of the documents."""


def channel_kind(model: type[ChannelBase]) -> str:
    """Return the value of `kind` that selects a channel."""
    return str(model.model_fields["kind"].annotation.__args__[0])  # type: ignore[union-attr]


CHANNELS_BY_KIND: dict[str, type[ChannelBase]] = {channel_kind(model): model for model in CHANNELS}

if TYPE_CHECKING:
    Channel = ChannelBase
else:
    Channel = Annotated[
        reduce(or_, (Annotated[model, Tag(kind)] for kind, model in CHANNELS_BY_KIND.items())),
        Discriminator(lambda value: value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)),
    ]
"""Every channel, discriminated by `kind`."""

__all__ = ["CHANNELS", "CHANNELS_BY_KIND", "Channel", "ChannelBase", "channel_kind"]
