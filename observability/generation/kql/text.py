"""Literals of KQL, how the rows of Application Insights are read, and which rows a query reads.

Whatever comes from a job file enters a query by these functions alone. A scope is time, deployment and jobs; each tool
has other variables for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from jobs.runs import Outcome, Trigger
from observability import names

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str) -> str:
    """Return a string literal. Everything except printable ASCII is escaped."""
    return '"' + "".join(_ESCAPES.get(char) or _escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def quote_list(texts: Iterable[str]) -> str:
    """Return literals with commas, for `in (...)`. KQL has no empty list, so an empty one contains the empty text."""
    return ", ".join(quote(text) for text in texts) or quote("")


def format_seconds(seconds: float) -> str:
    """Return a timespan literal in whole seconds, at least one."""
    return f"{max(1, round(seconds))}s"


def make_table(columns: Mapping[str, str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of constants. `columns`: types by name; `rows`: literals, in the order of the columns."""
    header = ", ".join(f"{name}: {kind}" for name, kind in columns.items())
    lines = [", ".join(row) for row in rows] or [", ".join(_EMPTY[kind] for kind in columns.values())]
    return f"datatable({header}) [\n    " + ",\n    ".join(lines) + "\n]"


_EMPTY = {"string": quote(""), **{kind: f"{kind}(null)" for kind in ("timespan", "real", "datetime", "bool")}}


def read_property(name: str) -> str:
    """Return the expression of a text in `customDimensions`."""
    return f"tostring(customDimensions[{quote(name)}])"


def read_measurement(name: str) -> str:
    """Return the expression of a number in `customMeasurements`."""
    return f"todouble(customMeasurements[{quote(name)}])"


def pipe(*steps: str) -> str:
    """Return a query of these steps, one a line. Empty ones are omitted."""
    first, *rest = (step for step in steps if step)
    return "\n".join([first, *(f"| {step}" for step in rest)])


def where(condition: str) -> str:
    """Return the step that filters rows; no step without a condition."""
    return f"where {condition}" if condition else ""


IS_DOWN = f"{names.OUTCOME} in ({quote_list(outcome for outcome in Outcome if outcome.down)})"
"""A condition on the column of the outcome: the target of the run is down."""

HAS_CHECKED = f"{names.OUTCOME} !in ({quote_list((Outcome.SKIPPED, Outcome.CANCELLED))})"
"""The run has checked its target, or an open circuit has rejected it."""

IS_CURRENT = f"{read_property(names.TRIGGER)} != {quote(Trigger.BACKFILL)}"
"""A condition on a row of a run: it shows the target of its instant, which a backfill does not."""


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
