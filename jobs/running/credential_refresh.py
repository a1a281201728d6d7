"""A target that refuses the credentials of a request: were they changed meanwhile? Called by execution.py.

A secret is rotated while runs go on with the value that they have kept; the first refusal is what tells them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from jobs.ports import CredentialRefresh
from jobs.running.deadlines import run_with_deadline
from jobs.runs import Attempt

_REFUSED = frozenset({401, 403})

LONGEST_CREDENTIAL_REFRESH = 5.0
"""Seconds for reading them again."""


def has_rejected_credentials(attempt: Attempt) -> bool:
    """Whether it failed with an answer that blames the credentials."""
    return attempt.error is not None and attempt.status in _REFUSED


async def refresh_credentials(
    used: Sequence[Callable[[], Awaitable[CredentialRefresh]]], status: int | None, left_s: float
) -> CredentialRefresh:
    """Read the credentials again that were refused with this status, within the seconds that are left of the run.

    The sentence begins with a capital and ends with a full stop.
    """
    limit_s = min(left_s, LONGEST_CREDENTIAL_REFRESH)
    renewals: list[CredentialRefresh] = []

    async def look() -> None:
        for renewed in used:
            renewals.append(await renewed())  # noqa: PERF401 - those before a slow one are known even so

    if limit_s > 0:
        await run_with_deadline(look(), limit_s, lambda: None)
    if len(renewals) < len(used):
        renewals.append(
            CredentialRefresh(is_changed=False, message="whether they were changed could not be found out in time")
        )
    changed = [renewal for renewal in renewals if renewal.is_changed]
    told = "; ".join(renewal.message for renewal in changed or renewals)
    return CredentialRefresh(
        is_changed=bool(changed), message=f"The target refused the credentials ({status}); {told}."
    )
