"""Timeouts of an attempt and of a run."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from jobs.formats.durations import format_duration
from jobs.model_base import Duration, FrozenModel

LONGEST_RUN_TIMEOUT = 480.0
"""Seconds. Less than functionTimeout of host.json (10 minutes), at which the Functions host ends its worker."""


class Timeouts(FrozenModel):
    """Seconds for one attempt and for the whole run, including the waits between attempts.

    An attempt gets at most the rest of the run, so `run: 5s` alone shortens both.
    """

    attempt: Annotated[Duration, Field(gt=0)] = 10.0
    run: Annotated[Duration, Field(gt=0, le=LONGEST_RUN_TIMEOUT)] = 30.0

    @model_validator(mode="after")
    def _attempt_within_run(self) -> Self:
        if "attempt" in self.model_fields_set and self.attempt > self.run:
            raise ValueError(
                f"attempt ({format_duration(self.attempt)}) is longer than run ({format_duration(self.run)}): "
                "increase run, which includes all attempts and the waits between them"
            )
        return self
