"""The settings group `rate_limits`. Used by config.settings.model."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from jobs.model_base import FrozenModel

_RATE = re.compile(r"[1-9][0-9]{0,6}/(second|minute|hour|day)")
OFF = "off"


def _check_rate(value: Any) -> Any:
    """YAML reads `off` as false."""
    if value is False or value == OFF:
        return OFF
    if not isinstance(value, str) or not _RATE.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a rate: write a form such as 600/minute (second, minute, hour, day), or off"
        )
    return value


Rate = Annotated[str, BeforeValidator(_check_rate)]


class RateLimitSettings(FrozenModel):
    """Requests of a principal, and failed authentication of an address; see scheduler.rate_limits."""

    read: Rate = "600/minute"
    operate: Rate = "120/minute"
    manage: Rate = "60/minute"
    failed_authentication: Rate = "20/minute"
