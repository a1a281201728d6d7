"""The series of the page of metrics: each once, by the rules of OpenMetrics."""

from __future__ import annotations

import pytest

from observability.names.metrics import MetricSeries
from observability.names.series import SERIES, watchdog_series
from scheduler.watchdog.report import WATCHDOG_GAUGES

ALL = (*SERIES, *map(watchdog_series, WATCHDOG_GAUGES))


@pytest.mark.parametrize("series", ALL, ids=lambda series: series.name)
def test_a_name_ends_as_its_kind_and_unit_require(series: MetricSeries) -> None:
    assert series.name.endswith("_total") == (series.kind == "counter")
    assert series.name.endswith("_info") == (series.kind == "info")
    assert series.unit in ("", "seconds", "ratio")
    assert series.name.removesuffix("_total").endswith(f"_{series.unit}" if series.unit else "")
    assert series.description.endswith(".")


def test_every_series_exists_once() -> None:
    assert len({each.name for each in ALL}) == len(ALL)
