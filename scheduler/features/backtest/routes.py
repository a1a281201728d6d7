"""The route that replays the recent runs of a job with the alert rules of a draft. Called by static/js/editor.js.

Not for callers that are limited to tags: parents and groups name other jobs.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Query
from fastapi.responses import JSONResponse

from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.declared_routes import JSON_TYPE
from scheduler.api.definition_requests import MAX_DOCUMENT_BYTES, YAML_TYPE, DefinitionBodyDep
from scheduler.api.problems import InvalidInput, UnusableValue, describe_problem
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.features.backtest.comparison import ComparedMessage
from scheduler.features.backtest.service import BacktestReport, BacktestRequest

MAX_DAYS: Final = 30
MAX_LISTED_MESSAGES: Final = 100
_MAX_PROBLEMS: Final = 20

router = ApiRouter(in_schema=False)


@router.read(
    f"{DASHBOARD_PATH}/drafts/backtest",
    method="POST",
    accepts=(JSON_TYPE, YAML_TYPE),
    max_body=MAX_DOCUMENT_BYTES,
)
async def backtest_draft(
    services: ServicesDep,
    document: DefinitionBodyDep,
    days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 7,
) -> JSONResponse:
    """Return what the rules of a draft would have notified, and what was notified."""
    review = await services.definitions.read(document.content, is_json=document.is_json, catalog=services.catalog)
    if review.problems:
        raise UnusableValue(*map(describe_problem, review.problems[:_MAX_PROBLEMS]))
    if len(review.jobs) != 1:
        raise UnusableValue(InvalidInput(location="body", message=f"has {len(review.jobs)} jobs, expected one"))
    ((name, job),) = review.jobs.items()
    in_force = services.queries.current_jobs()
    entries = {entry.job.name: entry for entry in in_force} | {name: CatalogJob(job, "draft")}
    now = services.clock.now()
    edited = JobSnapshot(entries.values(), now, alerting=in_force.alerting)
    request = BacktestRequest(now - timedelta(days=days), now, frozenset({name}))
    report = await services.backtester.run_in_server(request, in_force, edited)
    return JSONResponse(_show_report(report))


def _show_report(report: BacktestReport) -> dict[str, Any]:
    messages = report.comparison.messages
    listed = sorted(messages, key=lambda each: (str(each.difference) == "same", -each.at.timestamp()))
    return {
        "since": report.request.since.isoformat(),
        "sent": sum(each.was is not None for each in messages),
        "would_be_sent": sum(each.would_be is not None for each in messages),
        "differences": Counter(str(each.difference) for each in messages),
        "by_channel": {name: list(counts) for name, counts in report.comparison.by_channel.items()},
        "messages": [_show_message(each) for each in listed[:MAX_LISTED_MESSAGES]],
        "runs": report.runs_read + report.runs_estimated,
        "notes": list(report.notes),
    }


def _show_message(message: ComparedMessage) -> dict[str, Any]:
    return {
        "at": message.at.isoformat(),
        "rule": message.rule,
        "channel": message.channel,
        "kind": message.kind,
        "difference": str(message.difference),
        "shift_seconds": round(message.shift.total_seconds()),
        "text": message.text,
    }
