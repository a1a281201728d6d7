"""The check of a resource, or a list of resources, by Azure Resource Manager or Microsoft Graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jobs.checks.azure.client import MAX_ROWS, AzureCheck, AzureRequest, build_url
from jobs.checks.azure.rows import age_of, find_newest_at, observe_rows, with_facts
from jobs.checks.azure.verdicts import refuse_stale, unknown
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check
from jobs.formats import format_iso_instant
from jobs.runs import Observation
from jobs.targets import AzureResourceTarget
from jobs.targets.azure import SINCE


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> AzureResourceCheck:
    """Build the check. Called by jobs.checks."""
    return AzureResourceCheck(dependencies.make_azure_client(checks))


class AzureResourceCheck(AzureCheck):
    """Observes resources; the body is the resource itself, or `{"value": [...]}` of all pages."""

    async def read(self, target: AzureResourceTarget, call: AttemptContext) -> Observation:
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
