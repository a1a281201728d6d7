"""The check of a storage queue and its poison queue: how many messages they have, by the service's own headers."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.checks.azure.client import AzureCheck, AzureRequest
from jobs.checks.azure.rows import observe_rows
from jobs.checks.azure.verdicts import Concluded, unknown
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check
from jobs.runs import Observation
from jobs.targets import AzureQueueTarget

_VERSION = "2023-11-03"
_COUNT = "x-ms-approximate-messages-count"
_POISON = "-poison"
"""Azure Functions moves a message there that fails each time, and makes the queue for the first one."""


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> AzureQueueCheck:
    """Build the check. Called by jobs.checks."""
    return AzureQueueCheck(dependencies.make_azure_client(checks))


class AzureQueueCheck(AzureCheck):
    """Observes queues; the body is `{"rows": [{"name": "orders", "messages": 3}, ...]}`."""

    async def read(self, target: AzureQueueTarget, call: AttemptContext) -> Observation:
        """Request the count of the queue, then of its poison queue. Raises Concluded."""
        seen = await self._request_metadata(target, "", call)
        rows = [_read_row(target, "", seen)]
        try:
            seen = await self._request_metadata(target, _POISON, call)
            rows.append(_read_row(target, _POISON, seen))
        except Concluded as concluded:
            if concluded.observation.status != 404:
                raise
        return observe_rows(seen, rows, "rows", {"pages": 2})

    async def _request_metadata(self, target: AzureQueueTarget, suffix: str, call: AttemptContext) -> Observation:
        request = AzureRequest(f"{target.endpoint}{suffix}?comp=metadata", headers={"x-ms-version": _VERSION})
        return await self.client.exchange(target, request, call)


def _read_row(target: AzureQueueTarget, suffix: str, seen: Observation) -> dict[str, str | int]:
    count = seen.headers.get(_COUNT, "")
    if not (count.isascii() and count.isdigit() and len(count) < 16):
        raise unknown(seen, f"{target.host} answered without a number of messages ({_COUNT}).")
    return {"name": f"{target.queue}{suffix}", "messages": int(count)}
