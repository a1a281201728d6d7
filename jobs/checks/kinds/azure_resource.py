"""The check of a resource, or a list of resources, by Azure Resource Manager or Microsoft Graph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from jobs.checks.azure.client import MAX_ROWS, AzureClient, AzureRequest, Page, build_url
from jobs.checks.azure.rows import observe_rows, with_facts
from jobs.checks.azure.verdicts import unknown
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check
from jobs.runs import Observation
from jobs.targets import AzureResourceTarget


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> AzureResourceCheck:
    """Build the check. Called by jobs.checks."""
    return AzureResourceCheck(dependencies.make_azure_client(checks))


class AzureResourceCheck:
    """Observes resources; the body is the resource itself, or `{"value": [...]}` of all pages."""

    def __init__(self, client: AzureClient) -> None:
        self._client = client

    async def observe(self, target: AzureResourceTarget, call: AttemptContext) -> Observation:
        """Observe the resource or the list once."""
        return await self._client.observe(partial(self._observe, target, call))

    async def _observe(self, target: AzureResourceTarget, call: AttemptContext) -> Observation:
        version = {"api-version": target.api_version} if target.api_version else {}
        request = AzureRequest(build_url(target, {**target.query, **version}), target.body)
        rows: list[Any] = []
        pages = 0
        async for page in self._client.iter_pages(target, request, call, target.max_pages):
            pages += 1
            entries = page.document.get("value")
            if not isinstance(entries, list):
                if pages == 1 and page.is_last:
                    return with_facts(page.seen, pages=1)
                raise unknown(page.seen, f"Page {pages} of the list has no entries (value).")
            rows += entries
            if len(rows) > MAX_ROWS:
                raise unknown(page.seen, f"The list has more than {MAX_ROWS:,} entries: filter it, or split the job.")
            if pages == 1 and page.is_last:
                return with_facts(page.seen, pages=1, row_count=len(rows))
            last: Page = page
        return observe_rows(last.seen, rows, "value", {"pages": pages})

    def prepare(self, target: AzureResourceTarget) -> None:
        self._client.prepare(target)

    async def aclose(self) -> None:
        """Holds nothing."""
