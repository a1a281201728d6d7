"""The check of a KQL query: Log Analytics, Application Insights, Resource Graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.checks.azure.client import MAX_ROWS, AzureCheck, AzureRequest, Page, build_url
from jobs.checks.azure.rows import UnexpectedShape, age_of, find_newest, observe_rows, table_rows
from jobs.checks.azure.verdicts import read_error, refuse_stale, unknown
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check
from jobs.runs import Observation
from jobs.targets import AzureQueryTarget

_GRAPH_VERSION = "2022-10-01"
_GRAPH_PAGE = 1000
_QUERY_WAIT = 40
"""Seconds that a query of logs may take: less than the usual attempt."""
_DEFAULT_TIMESPAN = 86_400.0


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> AzureQueryCheck:
    """Build the check. Called by jobs.checks."""
    return AzureQueryCheck(dependencies.make_azure_client(checks))


class AzureQueryCheck(AzureCheck):
    """Observes the rows of a query; the body is `{"rows": [{column: value}, ...]}`."""

    async def read(self, target: AzureQueryTarget, call: AttemptContext) -> Observation:
        """Run the query once. Raises Concluded."""
        rows: list[dict[str, Any]] = []
        pages, is_partial = 0, False
        request = _build_request(target)
        async for page in self.client.iter_pages(target, request, call, target.max_pages):
            pages += 1
            try:
                rows += _graph_rows(page) if target.subscriptions else table_rows(_first_table(page))
            except UnexpectedShape as error:
                raise unknown(page.seen, f"{target.host} answered with an unexpected document: {error}.") from None
            if len(rows) > MAX_ROWS:
                raise unknown(page.seen, f"The query returned more than {MAX_ROWS:,} rows: summarize, or take fewer.")
            is_partial = is_partial or _is_partial(page)
            seen = page.seen
        if is_partial and not target.allow_partial:
            code, _ = read_error(seen.body)
            note = f" ({code})" if code else ""
            raise unknown(seen, f"Rows of the query are missing{note}: simplify it, or set allow_partial: true.")
        age = age_of(find_newest(rows), self.client.now())
        refuse_stale(seen, age, target.max_data_age)
        return observe_rows(seen, rows, "rows", {"pages": pages, "is_partial": is_partial, "data_age": age})


def _build_request(target: AzureQueryTarget) -> AzureRequest:
    if target.subscriptions:
        body = {
            "subscriptions": list(target.subscriptions),
            "query": target.query,
            "options": {"resultFormat": "objectArray", "$top": _GRAPH_PAGE},
        }
        return AzureRequest(build_url(target, {"api-version": _GRAPH_VERSION}), body)
    span = f"PT{round(target.timespan or _DEFAULT_TIMESPAN)}S"
    body = {"query": target.query, "timespan": span}
    return AzureRequest(build_url(target, {}), body, {"Prefer": f"wait={_QUERY_WAIT}"})


def _first_table(page: Page) -> Any:
    tables = page.document.get("tables")
    if not isinstance(tables, list) or not tables:
        raise UnexpectedShape("it has no tables")
    named = (table for table in tables if isinstance(table, dict) and table.get("name") == "PrimaryResult")
    return next(named, tables[0])


def _graph_rows(page: Page) -> list[dict[str, Any]]:
    rows = page.document.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnexpectedShape("it has no rows (data)")
    return rows


def _is_partial(page: Page) -> bool:
    """Return whether rows are missing: an error next to the tables, or a truncated result without a next page."""
    document = page.document
    is_cut = str(document.get("resultTruncated", "false")).lower() == "true" and not document.get("$skipToken")
    return bool(document.get("error")) or document.get("isPartial") is True or is_cut
