"""The catalogue of names: each once, and the same in the operators' page."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from observability import names
from observability.exporters.measurements import find_tag_values
from scheduler.watchdog.gauges import WATCHDOG_GAUGES
from tests.observability import runs
from tests.project import ROOT

METRICS = (*names.METRICS, *map(names.gauge_metric, WATCHDOG_GAUGES))
PAGE = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")


def rows(*titles: str) -> list[list[str]]:
    """The cells of the tables below these headings, without the tables' heads."""
    found = []
    for title in titles:
        section = re.split(r"^#+ ", PAGE.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
        lines = [line for line in section.splitlines() if line.startswith("| `")]
        found += [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return found


def test_every_name_exists_once() -> None:
    listed = [*names.LOG_EVENTS, *names.FIELDS, *names.METRIC_TAGS, *METRICS, *names.OTHERS]
    assert [name for name, count in Counter(each.name for each in listed).items() if count > 1] == []


def test_every_name_reports_what_it_means() -> None:
    listed = [*names.LOG_EVENTS, *names.FIELDS, *names.METRIC_TAGS, *METRICS, *names.OTHERS]
    assert all(each.description.endswith(".") for each in listed)
    assert {each.unit for each in listed} <= {"", "ms", "s"}


def test_metrics_are_split_by_tags_of_the_catalogue() -> None:
    tags = {tag.name for tag in names.METRIC_TAGS}
    assert all(set(metric.tags) <= tags for metric in METRICS)


@pytest.mark.parametrize("metric", list(METRICS), ids=lambda metric: metric.name)
def test_a_run_has_a_value_for_every_tag(metric: names.Metric) -> None:
    assert set(find_tag_values(metric, runs.run())) == set(metric.tags)


@pytest.mark.parametrize(
    ("titles", "listed"),
    [
        (["Log events"], names.LOG_EVENTS),
        (["Fields of every line", "Fields of events"], names.FIELDS),
        (["Metrics"], METRICS),
        (["Tags"], names.METRIC_TAGS),
        (["Others"], names.OTHERS),
    ],
    ids=["log events", "fields", "metrics", "tags", "others"],
)
def test_the_page_has_the_names_of_the_catalogue(titles: list[str], listed: tuple[names.Name, ...]) -> None:
    assert [row[0].strip("`") for row in rows(*titles)] == [each.name for each in listed]


def test_the_page_has_their_units() -> None:
    reported = {row[0].strip("`"): row[1] for row in rows("Fields of every line", "Fields of events", "Metrics")}
    assert reported == {each.name: each.unit for each in (*names.FIELDS, *METRICS)}


def test_the_page_reports_what_metrics_are_split_by() -> None:
    reported = {row[0].strip("`"): (row[2], row[3]) for row in rows("Metrics")}
    assert reported == {each.name: (each.kind, ", ".join(each.tags)) for each in METRICS}
