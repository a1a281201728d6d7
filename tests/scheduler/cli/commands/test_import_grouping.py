"""The groups of a report have each value that was lost or changed once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.ledger import LeafOutcome
from importers.report import ReportEntry
from importers.running import detect_source, run_import
from importers.source_tree import SourceFile
from scheduler.features.importing.grouping import format_detail, group_values, join_names
from tests.config.importers.kuma.backups import mixed_backup

DATA = Path(__file__).parents[3] / "data/importers"
WORDS = st.sampled_from(["", "a", "b", "c"])
ENTRIES = st.lists(
    st.builds(
        ReportEntry,
        file=WORDS,
        line=st.none() | st.integers(1, 3),
        path=st.just(("x",)),
        key=WORDS,
        outcome=st.sampled_from(LeafOutcome),
        jobs=st.lists(WORDS.filter(bool), max_size=2).map(tuple),
        detail=WORDS,
        nearest=WORDS,
        subject=WORDS,
        field=WORDS,
    ),
    max_size=20,
)


@given(ENTRIES, st.sampled_from(LeafOutcome))
def test_each_value_is_in_one_group(entries: list[ReportEntry], outcome: LeafOutcome) -> None:
    groups = group_values(entries, outcome.words)
    expected = [entry for entry in entries if entry.outcome is outcome]
    assert sum(group.count for group in groups) == len(expected)
    assert [group.rank for group in groups] == sorted(group.rank for group in groups)
    by_detail = {group.detail: group for group in groups}
    assert len(by_detail) == len(groups)
    for entry in expected:
        group = by_detail[format_detail(entry)]
        assert set(entry.jobs) <= group.subjects.keys()
        assert (entry.field or entry.key) in group.fields


SAMPLES = {
    "gatus-full.yaml": 50,
    "healthchecks/checks-v3.json": 15,
    "datadog/tests.json": 45,
    "app-insights/answer.json": 10,
}
"""The most rows of a report, far below the number of values that were changed or lost where there are many."""


@pytest.mark.parametrize("name", SAMPLES)
def test_the_reports_of_samples_are_short(name: str) -> None:
    file = SourceFile(DATA / name)
    report = run_import(detect_source([file]), [file])
    rows = [group for outcome in ("not carried over", "changed") for group in group_values(report.entries, outcome)]
    assert 0 < len(rows) <= SAMPLES[name]
    counts = report.counts()
    assert sum(group.count for group in rows) == counts[LeafOutcome.NOT_CARRIED_OVER] + counts[LeafOutcome.CHANGED]


def test_a_lost_monitor_comes_before_lost_values_of_jobs() -> None:
    report = run_import("uptime-kuma", [SourceFile(Path("a.json"), "a.json", mixed_backup().encode())])
    lost = group_values(report.entries, "not carried over")
    assert [list(group.subjects) for group in lost[:2]] == [["Router", "Switch"], ["Game night"]]
    assert lost[-1].subjects.keys() <= report.definitions.keys()


@pytest.mark.parametrize(("count", "text"), [(0, ""), (2, "n0, n1"), (3, "n0, n1, n2"), (4, "n0, n1 and 2 more")])
def test_many_names_are_shortened(count: int, text: str) -> None:
    assert join_names([f"n{at}" for at in range(count)], 2) == text
