"""A target that refuses the credentials of a request: were they changed meanwhile? Called by execution.py.

A secret is rotated while runs go on with the value that they have kept; the first refusal is what tells them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from jobs.ports import Renewal
from jobs.running.deadlines import bounded
from jobs.runs import Attempt

_REFUSED = frozenset({401, 403})

LONGEST_LOOK = 5.0
"""Seconds for reading them again."""


def was_refused(attempt: Attempt) -> bool:
    """Whether it failed with an answer that blames the credentials."""
    return attempt.error is not None and attempt.status in _REFUSED


async def look_again(used: Sequence[Callable[[], Awaitable[Renewal]]], status: int | None, left_s: float) -> Renewal:
    """Read the credentials again that were refused with this status, within the seconds that are left of the run.

    The sentence begins with a capital and ends with a full stop.
    """
    limit_s = min(left_s, LONGEST_LOOK)
    renewals: list[Renewal] = []

    async def look() -> None:
        for renewed in used:
            renewals.append(await renewed())  # noqa: PERF401 - those before a slow one are known even so

    if limit_s > 0:
        await bounded(look(), limit_s, lambda: None)
    if len(renewals) < len(used):
        renewals.append(Renewal(changed=False, sentence="whether they were changed could not be found out in time"))
    changed = [renewal for renewal in renewals if renewal.changed]
    told = "; ".join(renewal.sentence for renewal in changed or renewals)
    return Renewal(changed=bool(changed), sentence=f"The target refused the credentials ({status}); {told}.")
