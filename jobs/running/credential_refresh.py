"""Refreshes the credentials of a request that the target rejected. Called by jobs.running.execution.

A secret may be rotated while runs use the cached value; the first rejection reveals it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from jobs.ports import CredentialRefresh
from jobs.running.deadlines import run_with_deadline
from jobs.runs import Attempt

_REFUSED = frozenset({401, 403})

LONGEST_CREDENTIAL_REFRESH = 5.0
"""Maximum seconds for a refresh."""


def has_rejected_credentials(attempt: Attempt) -> bool:
    """Whether the attempt failed with a status that rejects its credentials."""
    return attempt.error is not None and attempt.status in _REFUSED


async def refresh_credentials(
    used: Sequence[Callable[[], Awaitable[CredentialRefresh]]], status: int | None, left_s: float
) -> CredentialRefresh:
    """Refresh the credentials rejected with this status, within the seconds left of the run.

    The message starts with a capital letter and ends with a full stop.
    """
    limit_s = min(left_s, LONGEST_CREDENTIAL_REFRESH)
    renewals: list[CredentialRefresh] = []

    async def look() -> None:
        for renewed in used:
            renewals.append(await renewed())  # noqa: PERF401 - results before a slow one are used

    if limit_s > 0:
        await run_with_deadline(look(), limit_s, lambda: None)
    if len(renewals) < len(used):
        renewals.append(CredentialRefresh(is_changed=False, message="a refresh did not finish in time"))
    changed = [renewal for renewal in renewals if renewal.is_changed]
    messages = "; ".join(renewal.message for renewal in changed or renewals)
    return CredentialRefresh(
        is_changed=bool(changed), message=f"The target rejected the credentials ({status}); {messages}."
    )
