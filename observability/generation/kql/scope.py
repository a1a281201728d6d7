"""Which rows a query reads: time, deployment and jobs. Each tool has other variables for them.

Called by observability.generation.kql and by the generators that use its queries.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from observability import names
from observability.generation.kql.text import quote, quote_list


@dataclass(frozen=True, slots=True)
class QueryScope:
    """`time`: a condition on `timestamp`; `step`: the time between two points of a chart, a timespan.

    `roles`, `jobs`: conditions on `cloud_RoleName` and on the column of the job's name; empty: no condition.
    """

    time: str
    step: str = "5m"
    roles: str = ""
    jobs: str = ""


def scope_of_rule(window: str, role: str = "", jobs: Collection[str] | None = None) -> QueryScope:
    """Return the scope of an alert rule. `window`: a timespan such as `15m`; `role`: empty for all deployments that
    share the component; `jobs`: None for all jobs."""
    return QueryScope(
        time=f"timestamp > ago({window})",
        roles=f"cloud_RoleName == {quote(role)}" if role else "",
        jobs="" if jobs is None else f"{names.JOB_NAME} in ({quote_list(jobs)})",
    )
