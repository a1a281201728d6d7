"""The fields of every channel, and how a channel's field refers to a secret. Used by the modules of this package."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from jobs.incidents.routes import DigestField
from jobs.model_base import Duration, FrozenModel, SecretRef
from jobs.notifications.port import ChannelResources, Sender
from jobs.targets.endpoints import UrlOrSecret as UrlOrSecret


class ChannelBase(FrozenModel):
    """The fields of every channel in a job file; each has a literal `kind` in addition.

    `EDITS`: whether a later message changes the first message of its incident. `THREADS`: whether it replies to it.
    `NEEDS_RESOLUTION`: whether a message opens an alert that stays open until its resolution.
    """

    EDITS: ClassVar[bool] = False
    THREADS: ClassVar[bool] = False
    NEEDS_RESOLUTION: ClassVar[bool] = False

    kind: str
    fallback: str | None = Field(
        default=None, min_length=1, max_length=100, description="the channel that is used while this one fails"
    )
    daily_test: DigestField | None = Field(
        default=None, description="when a test message is sent: 09:00 Europe/Berlin, or a schedule"
    )
    timeout: Annotated[Duration, Field(ge=1.0, le=60.0)] = Field(
        default=10.0, description="the time for one message, from 1s to 60s"
    )

    @abstractmethod
    def create_sender(self, resources: ChannelResources) -> Sender:
        """Return what sends the messages of this channel in a process."""


def _require_reference(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("must not contain a secret value: store it as a secret and reference it: {secret: NAME}")
    return value


OnlySecret = Annotated[SecretRef, BeforeValidator(_require_reference)]
"""A field whose value is secret: only `{secret: NAME}`. The error of a text never shows the text."""
