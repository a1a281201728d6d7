"""Which jobs people mean: name, kind, tag, state and latest outcome, combined by and."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import Outcome
from jobs.targets import TARGETS_BY_KIND
from scheduler.features.jobs.selection import (
    InvalidFilter,
    JobSelection,
    JobState,
    TagFilter,
    parse_selection,
    suggest_filter,
)
from scheduler.stores.runs.codec import RunRecord, RunState
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of, ticket

CHECKOUT = entry("checkout-api", tags={"team": "payments", "critical": ""}).job
DNS = entry("zone", check={"kind": "dns", "name": "a.example"}, tags={"team": "web"}).job
OFF = entry("off", enabled=False).job
JOBS = (CHECKOUT, DNS, OFF)


def chosen(**filters: Any) -> list[str]:
    selection = parse_selection(**filters)
    return [job.name for job in JOBS if selection.matches_definition(job)]


def latest(outcome: Outcome) -> RunRecord:
    made = ticket()
    return RunRecord(made, RunState.FINISHED, "", None, run_of(made, outcome), "")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["checkout-api", "zone", "off"]),
        ({"names": ["zone"]}, ["zone"]),
        ({"names": ["*o*"]}, ["checkout-api", "zone", "off"]),
        ({"names": ["checkout-*"]}, ["checkout-api"]),
        ({"names": ["???"]}, ["off"]),
        ({"names": ["zon"]}, []),
        ({"names": ["Zone"]}, []),
        ({"names": ["zone", "o*"]}, ["zone", "off"]),
        ({"kinds": ["dns"]}, ["zone"]),
        ({"kinds": ["dns", "http"]}, ["checkout-api", "zone", "off"]),
        ({"kinds": ["tls"]}, []),
        ({"tags": ["team"]}, ["checkout-api", "zone"]),
        ({"tags": ["team=web"]}, ["zone"]),
        ({"tags": ["team=Web"]}, []),
        ({"tags": ["critical="]}, ["checkout-api"]),
        ({"tags": ["team", "critical"]}, ["checkout-api"]),
        ({"tags": ["team=payments", "team=web"]}, []),
        ({"tags": ["team=payments"], "kinds": ["dns"]}, []),
        ({"tags": ["team"], "names": ["z*"], "kinds": ["dns"]}, ["zone"]),
    ],
)
def test_jobs_are_chosen_by_what_their_definition_reports(filters: dict[str, list[str]], names: list[str]) -> None:
    assert chosen(**filters) == names


@pytest.mark.parametrize(
    ("enabled", "is_paused", "state"),
    [
        (True, False, JobState.ENABLED),
        (True, True, JobState.PAUSED),
        (False, False, JobState.DISABLED),
        (False, True, JobState.DISABLED),
    ],
)
def test_a_job_has_one_state(enabled: bool, is_paused: bool, state: JobState) -> None:
    job = entry(enabled=enabled).job
    acquired = [each for each in JobState if JobSelection(states=(each,)).matches_state(job, is_paused=is_paused)]
    assert (JobState.from_job(job, is_paused=is_paused), acquired) == (state, [state])
    assert JobSelection().matches_state(job, is_paused=is_paused)


def test_jobs_are_chosen_by_their_latest_outcome_or_by_having_none() -> None:
    down = parse_selection(outcomes=["failed", "timed_out"])
    assert [down.matches_latest(latest(outcome)) for outcome in (Outcome.FAILED, Outcome.SUCCEEDED)] == [True, False]
    assert not down.matches_latest(None)
    assert parse_selection(outcomes=["none"]).matches_latest(None)
    assert not parse_selection(outcomes=["none"]).matches_latest(latest(Outcome.FAILED))
    assert parse_selection().matches_latest(None)


KINDS = ", ".join(TARGETS_BY_KIND)


@pytest.mark.parametrize(
    ("filters", "filter", "message"),
    [
        (
            {"kinds": ["htp"]},
            "kind",
            f"'htp' is not allowed, did you mean http?; allowed: {KINDS}",
        ),
        ({"kinds": [""]}, "kind", f"'' is not allowed; allowed: {KINDS}"),
        (
            {"states": ["pause"]},
            "state",
            "'pause' is not allowed, did you mean paused?; allowed: enabled, paused, disabled",
        ),
        (
            {"outcomes": ["running"]},
            "outcome",
            "'running' is not allowed; allowed: succeeded, failed, timed_out, rejected, skipped, cancelled, none",
        ),
        ({"tags": ["=payments"]}, "tag", "'=payments' has no tag name; use a form such as team or team=payments"),
        (
            {"names": ["check out"]},
            "name",
            "'check out' cannot match a job name; use letters, digits, dot, - and _, with * for any text and ? for one "
            "character",
        ),
    ],
)
def test_a_value_that_can_choose_nothing_is_refused(filters: dict[str, list[str]], filter: str, message: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_selection(**filters)  # type: ignore[arg-type]
    assert (caught.value.filter, str(caught.value)) == (filter, message)


@pytest.mark.parametrize(
    ("filters", "meant"),
    [
        ({"tags": ["taem"]}, "team"),
        ({"tags": ["taem=web"]}, "team"),
        ({"tags": ["team=wep"]}, "team=web"),
        ({"tags": ["team=finance-department"]}, None),
        ({"names": ["zones"]}, "zone"),
        ({"names": ["x*"]}, None),
        ({"kinds": ["tls"]}, None),
    ],
)
def test_a_filter_that_takes_no_job_has_a_suggestion(filters: dict[str, list[str]], meant: str | None) -> None:
    ((_, part),) = parse_selection(**filters).single_filters()  # type: ignore[arg-type]
    assert suggest_filter(part, JOBS) == meant


def test_a_selection_is_shown_in_words() -> None:
    selection = parse_selection(
        names=["a*"], kinds=["dns", "tls"], tags=["team=web", "x"], states=["paused"], outcomes=["failed"]
    )
    assert str(selection) == (
        "name a* and kind dns or tls and tag team=web and tag x and state paused and outcome failed"
    )
    assert not selection.is_empty
    assert (str(JobSelection()), JobSelection().is_empty) == ("", True)
    assert selection.single_filters()[3] == ("tag x", JobSelection(tags=(TagFilter("x"),)))


@given(st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True), st.data())
def test_a_name_fits_every_pattern_that_is_made_of_it(name: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(name)))
    end = data.draw(st.integers(start, len(name)))
    for middle in ("*", "?" * (end - start), name[start:end]):
        pattern = (name[:start] + middle + name[end:])[:100]
        selection = parse_selection(names=[pattern])
        assert selection.matches_definition(entry().job.model_copy(update={"name": name})) or len(pattern) == 100


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    selection = parse_selection(names=["*a" * 50])
    assert not selection.matches_definition(entry("a" * 49 + "b").job)
