"""Finds abandoned claims of the head of the stored jobs. Created by scheduler.app.definitions.stored_jobs.

A change claims the head, is recorded, and replaces the head. If its process ends in between, the claim stays. The
replacement is fenced by the head's etag, so an abandoned claim harms nothing; but while its process lives, another one
that does not wait makes it fail.
"""

from __future__ import annotations

from jobs.ports import Clock

CLAIM_TIMEOUT = 3.0
"""Seconds after which a claim is abandoned, counted from the first read of this process that observed it."""


class ClaimWatch:
    """Each read of the head is observed, so a change rarely has to wait for an abandoned claim."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._claim, self._since = "", 0.0

    def observe(self, claim: str) -> None:
        """`claim`: as the head had it when it was read; each change has another one."""
        if claim != self._claim:
            self._claim, self._since = claim, self._clock.monotonic()

    def is_held(self, claim: str) -> bool:
        """Observe the claim. Return whether its process may still replace the head."""
        self.observe(claim)
        return bool(claim) and self._clock.monotonic() - self._since < CLAIM_TIMEOUT
