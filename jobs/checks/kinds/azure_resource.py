"""The check of a resource, or a list of resources, by Azure Resource Manager or Microsoft Graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.checks.azure.client import MAX_ROWS, AzureCheck, AzureRequest, build_url
from jobs.checks.azure.rows import observe_rows, with_facts
from jobs.checks.azure.verdicts import unknown
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check
from jobs.runs import Observation
from jobs.targets import AzureResourceTarget


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> AzureResourceCheck:
    """Build the check. Called by jobs.checks."""
    return AzureResourceCheck(dependencies.make_azure_client(checks))


class AzureResourceCheck(AzureCheck):
    """Observes resources; the body is the resource itself, or `{"value": [...]}` of all pages."""

    async def read(self, target: AzureResourceTarget, call: AttemptContext) -> Observation:
        """Request the resource or the list once. Raises Concluded."""
        version = {"api-version": target.api_version} if target.api_version else {}
        request = AzureRequest(build_url(target, {**target.query, **version}), target.body)
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
        if pages == 1:  # as it was received
            return with_facts(seen, pages=1, row_count=len(rows) if isinstance(entries, list) else None)
        return observe_rows(seen, rows, "value", {"pages": pages})
