"""The catch-up policy of a job. Applied by scheduler.planning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jobs.model_base import Duration, FrozenModel


class CatchUp(FrozenModel):
    """Which missed due instants (the scheduler was stopped or stalled) are still run.

    `none`; `last`: the latest one; `all`: each of them, in order. Only instants within the last `within` seconds. The
    others are recorded as skipped, in one entry.
    """

    policy: Literal["none", "last", "all"] = "none"
    within: Annotated[Duration, Field(gt=0, le=7 * 86400.0)] = 3600.0
