"""Applying to a Datadog on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from observability.generation.applying import AppliedFolder, ApplyOptions, ApplyOutcome, apply_documents, find_drift
from observability.generation.datadog.target import TARGET
from observability.generation.document import ToolError
from observability.generation.portfolio import Portfolio
from tests.observability.generation.grafana.portfolios import CHECKOUT, PORTFOLIO
from tests.parts.datadog_api import DatadogStore, running_datadog


@pytest.fixture
def datadog() -> Iterator[DatadogStore]:
    with running_datadog() as running:
        yield running


def environ(datadog: DatadogStore) -> dict[str, str]:
    return {"DD_API_KEY": datadog.api_key, "DD_APP_KEY": datadog.app_key, "SCHEDULER_DATADOG__URL": datadog.url}


def apply(
    datadog: DatadogStore, folder: Path, portfolio: Portfolio = PORTFOLIO, **options: bool
) -> dict[str, ApplyOutcome]:
    with TARGET.connect(environ(datadog)) as tool:
        outcomes = apply_documents(TARGET.generate(portfolio), tool, AppliedFolder(folder), ApplyOptions(**options))
        return {outcome.path: outcome for outcome in outcomes}


def drift(datadog: DatadogStore, folder: Path) -> dict[str, list[str]]:
    with TARGET.connect(environ(datadog)) as tool:
        found = find_drift(tool, AppliedFolder(folder))
        return {
            one.path: [difference.pointer[-1] for difference in one.differences] for one in found if one.differences
        }


def find_monitor(datadog: DatadogStore, part: str) -> dict[str, object]:
    return next(one for one in datadog.stored["monitor"].values() if part in one["name"])


def test_a_second_apply_writes_nothing(datadog: DatadogStore, tmp_path: Path) -> None:
    first = apply(datadog, tmp_path)
    assert {one.action for one in first.values()} == {"create"}
    assert [one for one in first.values() if one.error] == []
    writes = list(datadog.writes)
    assert {one.action for one in apply(datadog, tmp_path).values()} == {"none"}
    assert datadog.writes == writes
    assert drift(datadog, tmp_path) == {}


def test_a_burn_rate_monitor_has_the_id_of_its_slo(datadog: DatadogStore, tmp_path: Path) -> None:
    apply(datadog, tmp_path)
    (slo,) = datadog.stored["slo"]
    assert str(find_monitor(datadog, "14.4 times")["query"]).startswith(f'burn_rate("{slo}").over("30d")')


def test_a_change_by_hand_is_drift_and_is_retained(datadog: DatadogStore, tmp_path: Path) -> None:
    apply(datadog, tmp_path)
    monitor = find_monitor(datadog, "Group shop")
    monitor["message"] = "Call @payments"
    (dashboard,) = datadog.stored["dashboard"].values()
    dashboard["widgets"].append({"id": 9, "definition": {"type": "note", "content": "see the runbook"}})
    assert drift(datadog, tmp_path)["monitors/group-shop.json"] == ["message"]
    grown = replace(PORTFOLIO, jobs=(replace(CHECKOUT, name="basket", objective=None), *PORTFOLIO.jobs))
    outcomes = apply(datadog, tmp_path, grown)
    assert outcomes["monitors/group-shop.json"].action == "update"
    assert [one for one in outcomes.values() if one.conflicts] == []
    monitor = find_monitor(datadog, "Group shop")
    assert (monitor["message"], "basket" in str(monitor["query"])) == ("Call @payments", True)
    assert next(iter(datadog.stored["dashboard"].values()))["widgets"][-1]["definition"]["type"] == "note"


def test_a_changed_threshold_is_a_conflict_if_the_generated_one_changed_too(
    datadog: DatadogStore, tmp_path: Path
) -> None:
    apply(datadog, tmp_path)
    find_monitor(datadog, "Group shop")["query"] = "mine"
    grown = replace(PORTFOLIO, jobs=(replace(CHECKOUT, name="basket", objective=None), *PORTFOLIO.jobs))
    (conflict,) = apply(datadog, tmp_path, grown)["monitors/group-shop.json"].conflicts
    assert (conflict.pointer, conflict.theirs) == (("query",), "mine")
    apply(datadog, tmp_path, grown, overwrites=True)
    assert "basket" in str(find_monitor(datadog, "Group shop")["query"])


def test_documents_of_a_removed_job_are_deleted_those_that_use_others_first(
    datadog: DatadogStore, tmp_path: Path
) -> None:
    apply(datadog, tmp_path)
    outcomes = apply(datadog, tmp_path, replace(PORTFOLIO, jobs=PORTFOLIO.jobs[1:]))
    assert [one.error for one in outcomes.values() if one.error] == []
    assert datadog.stored["slo"] == {}
    assert not any("burn_rate" in str(one["query"]) for one in datadog.stored["monitor"].values())


def test_without_the_folder_documents_are_found_by_their_tags(datadog: DatadogStore, tmp_path: Path) -> None:
    apply(datadog, tmp_path / "one")
    counts = {kind: len(found) for kind, found in datadog.stored.items()}
    outcomes = apply(datadog, tmp_path / "two")
    assert {kind: len(found) for kind, found in datadog.stored.items()} == counts
    assert {one.action for one in outcomes.values()} == {"none"}


@pytest.mark.parametrize(
    ("status", "fix"),
    [(403, "monitors_write"), (401, "valid keys"), (429, "apply again in 120 s"), (500, "answered 500")],
)
def test_a_refusal_names_the_fix_and_never_a_key(datadog: DatadogStore, tmp_path: Path, status: int, fix: str) -> None:
    datadog.answer_with, datadog.reset = status, "120"
    errors = [one.error for one in apply(datadog, tmp_path).values()]
    assert all(fix in error for error in errors)
    assert not any(key in error for key in (datadog.api_key, datadog.app_key) for error in errors)


def test_the_end_of_a_limit_of_requests_is_waited_for(datadog: DatadogStore, tmp_path: Path) -> None:
    datadog.limited = 2
    assert {one.error for one in apply(datadog, tmp_path).values()} == {""}


def test_missing_keys_are_named() -> None:
    with pytest.raises(ToolError, match="DD_APP_KEY must be set"), TARGET.connect({"DD_API_KEY": "key"}):
        pass


def test_an_unavailable_datadog_is_an_error(tmp_path: Path) -> None:
    with running_datadog() as datadog:
        known = environ(datadog)
    with TARGET.connect(known) as tool, pytest.raises(ToolError, match="Datadog did not answer"):
        tool.fetch("monitor", "1")
