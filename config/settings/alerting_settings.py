"""The settings group `alerting`: incidents and notifications. Used by config.settings.model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.settings.fields import PositiveDuration
from jobs.model_base import Duration, FrozenModel


class AlertingSettings(FrozenModel):
    """`age`: an incident is deleted when it was resolved longer ago."""

    age: PositiveDuration = 400 * 86400.0
    group_wait: Annotated[Duration, Field(ge=0, le=300)] = 10.0
    """Seconds for which a firing alert waits for others with the same cause, before it is announced."""
    fallback_after: Annotated[Duration, Field(gt=0, le=86400)] = 180.0
    """Seconds of failures after which the fallback channel is used."""
    give_up_after: Annotated[Duration, Field(gt=0, le=30 * 86400)] = 86400.0
    """Seconds of failures after which a notification becomes undelivered."""
