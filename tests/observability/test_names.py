"""The catalogue of names: each once, and the same in the operators' page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from observability import names
from observability.exporters.measurements import find_tag_values
from scheduler.watchdog.report import WATCHDOG_GAUGES
from tests.observability import runs
from tests.project import ROOT
from tools.names import tables
from tools.names.tables import create_page_text

METRICS = (*names.METRICS, *map(names.gauge_metric, WATCHDOG_GAUGES))
PAGE = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("metric", list(names.RUN_METRICS), ids=lambda metric: metric.name)
def test_a_run_has_a_value_for_every_tag(metric: names.Metric) -> None:
    assert set(find_tag_values(metric, runs.unknown())) == set(metric.tags)
    assert set(find_tag_values(metric, runs.run())) == set(metric.tags) - {names.TAG_REASON}


def test_the_page_has_the_tables_of_the_catalogue() -> None:
    assert create_page_text(PAGE) == PAGE, "run ./dev names"


def test_a_changed_table_is_written_again_and_the_text_around_it_is_not() -> None:
    changed = PAGE.replace("| `JobName` | | all | The job. |", "| `JobName` | | all | Another text. |")
    assert changed != PAGE
    assert create_page_text(changed) == PAGE


@pytest.mark.parametrize(
    ("mark", "message"),
    [("table: others", "has no marks of the tables others"), ("table: tags", "no table is called 'tagss'")],
)
def test_a_mark_that_is_missing_or_wrong_is_an_error(mark: str, message: str) -> None:
    other = {"table: others": "x", "table: tags": "table: tagss"}[mark]
    with pytest.raises(ValueError, match=message):
        create_page_text(PAGE.replace(f"<!-- {mark} (", f"<!-- {other} ("))


def test_a_check_says_that_the_page_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "telemetry.md"
    page.write_text(PAGE.replace("The job. |", "Another text. |"), encoding="utf-8")
    monkeypatch.setattr(tables, "PAGE", page)
    assert tables.main(["--check"]) == 1
    assert "run ./dev names" in capsys.readouterr().err
    assert tables.main([]) == 0
    assert tables.main(["--check"]) == 0
