"""The tab of the workbook about the scheduler itself. Pure. Called by
observability.generation.azure.workbook.workbook.
"""

from __future__ import annotations

from collections.abc import Sequence

from observability import names
from observability.generation.azure.workbook.items import COUNT, MEDIUM, SECONDS, make_chart, make_query
from observability.generation.azure.workbook.parameters import SCOPE
from observability.generation.core.document import Json
from observability.generation.kql import program, scheduler

_LOST = names.DROPPED_TELEMETRY
_SCHEDULER_GAUGES = (
    ("tick lag", "Time since the last tick, in s", (scheduler.TICK_GAP,), SECONDS),
    ("queue age", "Age of the oldest ticket that could run, in s", (scheduler.QUEUE_AGE,), SECONDS),
    ("queue", "Tickets that wait, poison messages", (scheduler.QUEUE_DEPTH, scheduler.POISON_DEPTH), COUNT),
    ("dead letter depth", "Stored dead letters", (scheduler.DEAD_LETTERS,), COUNT),
    ("late and silent jobs", "Late and silent jobs", (scheduler.LATE_JOBS, scheduler.SILENT_JOBS), COUNT),
)


def make_scheduler() -> Sequence[Json]:
    """Ticks, queue, dead letters, circuits, incidents, lost telemetry, unhealthy parts."""
    charts = (
        *(
            (name, title, scheduler.chart_gauges(SCOPE, *gauges), unit)
            for name, title, gauges, unit in _SCHEDULER_GAUGES
        ),
        ("circuit changes", "Changes of circuit breakers", program.chart_counts(SCOPE, names.CIRCUIT_CHANGES), COUNT),
        (
            "open incidents",
            "Circuits that are not closed, open incidents, notifications that wait",
            program.chart_program_gauges(SCOPE, names.OPEN_CIRCUITS, names.OPEN_INCIDENTS, names.PENDING_NOTIFICATIONS),
            COUNT,
        ),
        (
            "lost telemetry",
            "Telemetry that exporters lost",
            program.chart_counts(SCOPE, names.DROPPED_TELEMETRY),
            COUNT,
        ),
    )
    items = [
        make_query(
            name,
            title,
            query,
            visualization="timechart",
            size=MEDIUM,
            width=50,
            no_data="No data in this time range.",
            settings=make_chart(unit, 0),
        )
        for name, title, query, unit in charts
    ]
    parts = make_query(
        "unhealthy parts",
        "Unhealthy parts",
        scheduler.find_unhealthy_parts(SCOPE),
        width=50,
        no_data="No part has become unhealthy in this time range.",
        is_good_news=True,
    )
    return [*items, parts]
