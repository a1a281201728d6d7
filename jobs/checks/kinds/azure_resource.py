"""The check of a resource, or a list of resources, by Azure Resource Manager or Microsoft Graph."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jobs.checks.azure.certificates import compare_certificates, read_expected
from jobs.checks.azure.client import MAX_ROWS, AzureCheck, AzureClient, AzureRequest, build_url
from jobs.checks.azure.rows import age_of, find_newest_at, observe_rows, with_facts
from jobs.checks.azure.verdicts import refuse_stale, unknown
from jobs.checks.clock import Peer, describe_deadline
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check
from jobs.formats import format_iso_instant
from jobs.runs import Observation
from jobs.targets import AzureResourceTarget
from jobs.targets.azure import SINCE, CertificateEdge


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> AzureResourceCheck:
    """Build the check. Called by jobs.checks."""
    return AzureResourceCheck(dependencies.make_azure_client(checks), checks)


class AzureResourceCheck(AzureCheck):
    """Observes resources; the body is the resource itself, or `{"value": [...]}` of all pages."""

    def __init__(self, client: AzureClient, checks: Mapping[str, Check]) -> None:
        super().__init__(client)
        self._checks = checks

    async def read(self, target: AzureResourceTarget, call: AttemptContext) -> Observation:
        """Request the resource or the list once, then its edge. Raises Concluded."""
        seen = await self._read_pages(target, call)
        edge = target.edge
        if edge is None:
            return seen
        expected = await asyncio.to_thread(read_expected, target.label, edge, seen)
        return compare_certificates(edge, expected, seen, await self._shake_hands(edge, call))

    async def _shake_hands(self, edge: CertificateEdge, call: AttemptContext) -> Observation:
        """Return what the edge shows. It is the target: its silence is a failure."""
        call.clock.current_peer = Peer(edge.host, edge.port, edge.server_name or "")
        seconds = edge.TIMEOUTS.attempt
        try:
            async with asyncio.timeout(seconds):
                return await self._checks[edge.kind].observe(edge, call)
        except TimeoutError:
            error, message = describe_deadline(call.clock, edge.endpoint, seconds)
            return Observation(call.clock.stop(), error=error, message=message)

    def prepare(self, target: AzureResourceTarget) -> None:  # type: ignore[override]
        super().prepare(target)
        if target.edge is not None:
            self._checks[target.edge.kind].prepare(target.edge)

    async def _read_pages(self, target: AzureResourceTarget, call: AttemptContext) -> Observation:
        """Request the resource or the list once. Raises Concluded."""
        now = self.client.now()
        request = _build_request(target, now)
        rows: list[Any] = []
        pages = 0
        async for page in self.client.iter_pages(target, request, call, target.max_pages):
            pages, seen = pages + 1, page.seen
            entries = page.document.get("value")
            if isinstance(entries, list):
                rows += entries
            elif pages > 1 or page.following is not None:
                raise unknown(seen, f"Page {pages} of the list has no entries (value).")
            if len(rows) > MAX_ROWS:
                raise unknown(seen, f"The list has more than {MAX_ROWS:,} entries: filter it, or split the job.")
            if target.first_page and rows:
                break
        is_list = isinstance(entries, list)
        newest = find_newest_at(target.age_of, rows if is_list else [page.document]) if target.age_of else None
        age = age_of(newest, now)
        refuse_stale(seen, age, target.max_data_age)
        if pages == 1:  # as it was received
            return with_facts(seen, pages=1, row_count=len(rows) if is_list else None, data_age=age)
        return observe_rows(seen, rows, "value", {"pages": pages, "data_age": age})


def _build_request(target: AzureResourceTarget, now: datetime) -> AzureRequest:
    query, body = target.query, target.body
    if target.since is not None:
        instant = format_iso_instant(now - timedelta(seconds=target.since))
        query, body = json.loads(json.dumps([query, body]).replace(SINCE, instant))
    version = {"api-version": target.api_version} if target.api_version else {}
    return AzureRequest(build_url(target, {**query, **version}), body)
