"""The senders of the channels in force. Implements scheduler.alerting.delivery.port.ChannelDirectory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from jobs.notifications.port import ChannelModel, ChannelResources, Sender


class SenderDirectory:
    """`read_channels`: returns the channels of the current definitions by name. Called each time, so that a reload of
    the job files needs nothing else.
    """

    def __init__(self, read_channels: Callable[[], Mapping[str, ChannelModel]], resources: ChannelResources) -> None:
        self._read_channels = read_channels
        self._resources = resources
        self._senders: dict[str, tuple[ChannelModel, Sender]] = {}

    def list_names(self) -> Sequence[str]:
        return list(self._read_channels())

    def find_sender(self, channel: str) -> Sender | None:
        """Return the sender; a new one if the definition of the channel has changed."""
        model = self._read_channels().get(channel)
        if model is None:
            self._senders.pop(channel, None)
            return None
        known = self._senders.get(channel)
        if known is None or known[0] != model:
            known = self._senders[channel] = (model, model.create_sender(self._resources))
        return known[1]

    def find_fallback(self, channel: str) -> str | None:
        model = self._read_channels().get(channel)
        return None if model is None else model.fallback
