"""What a pass of the engine knows: policies, channels, suppressions, and which parents were checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.alerting.groups import AlertGroup
from jobs.alerting.rule import SelectedRules
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.engine.facts import DueChannel
from jobs.incidents.routes import Route, RoutingTable
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member
from scheduler.alerting.facts import DefinedFacts, describe_pause
from scheduler.alerting.rule_book import BLIND_KEY, NO_RULES, RuleBook, RunWatch
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from tests.scheduler.fakes import START, entry

MINUTE = timedelta(minutes=1)
WEB = {"tags": {"team": "web"}}


def book_of(*jobs: CatalogJob, groups: Mapping[str, Any] | None = None, rules: Sequence[Any] = ()) -> RuleBook:
    parts = {
        "groups": tuple(DefinedEntry(name, AlertGroup.model_validate(each)) for name, each in (groups or {}).items()),
        "rules": tuple(DefinedEntry("", SelectedRules.model_validate(each)) for each in rules),
    }
    return RuleBook(JobSnapshot(jobs, START, alerting=define_alerting(parts)))


def incident_of(*subjects: str, severity: str = "down", parents: Mapping[str, str] | None = None) -> Incident:
    members = tuple(
        Member(
            key=BLIND_KEY if name == "scheduler" else AlertKey(name, "failed"),
            fired=1,
            severity=severity,
            rank=20,
            fired_at=START,
            failing_since=START,
            parent=(parents or {}).get(name, ""),
        )
        for name in subjects
    )
    return Incident("1-a", 1, IncidentStatus.OPEN, lead=members[0].key, opened_at=START, members=members)


def channels(facts: DefinedFacts, incident: Incident) -> list[str]:
    return [each.channel if isinstance(each, DueChannel) else each for each in facts.channels_of(incident)]


def table_of(*routes: Mapping[str, Any]) -> RoutingTable:
    return RoutingTable(tuple(Route.model_validate(each) for each in routes))


def test_a_rule_with_channels_notifies_them_and_another_one_those_of_its_route() -> None:
    book = book_of(entry("a", alerts=[{"notify": ["mail"]}]), entry("b", alerts=[{}]))
    facts = DefinedFacts(book, START, routing=table_of({"notify": ["teams"]}))
    assert channels(facts, incident_of("a")) == ["mail"]
    assert channels(facts, incident_of("b")) == ["teams"]
    assert sorted(channels(facts, incident_of("a", "b"))) == ["mail", "teams"]


def test_a_further_rule_of_a_job_has_the_channels_of_its_own_route() -> None:
    alerts = [{}, {"when": "degraded"}]
    routes = table_of(
        {"match": {"severities": "degraded"}, "notify": ["mail"]},
        {"match": {"severities": "down"}, "notify": ["phone"]},
    )
    facts = DefinedFacts(book_of(entry("a", alerts=alerts)), START, routing=routes)
    incident = incident_of("a")
    slow = replace(incident.members[0], key=AlertKey("a", "degraded"), severity="degraded", rank=10)
    assert channels(facts, replace(incident, members=(*incident.members, slow))) == ["phone", "mail"]


def test_members_behind_a_parent_add_no_channel() -> None:
    book = book_of(entry("a", alerts=[{"notify": ["mail"]}]), entry("b", alerts=[{"notify": ["teams"]}]))
    assert channels(DefinedFacts(book, START), incident_of("a", "b", parents={"b": "a"})) == ["mail"]


def test_a_selected_rule_applies_to_jobs_without_their_own() -> None:
    rules = [{"select": WEB, "alerts": [{"name": "web", "open_after": 2}]}]
    jobs = entry("a", tags=WEB["tags"]), entry("b"), entry("c", tags=WEB["tags"], alerts=[])
    book = book_of(*jobs, entry("d", tags=WEB["tags"], enabled=False), rules=rules)
    assert [[rule.name for rule in book.rules_of(name).rules] for name in "abcd"] == [["web"], [], [], []]
    assert [job.name for job, _ in book.jobs_with_rules()] == ["a"]


def test_a_disabled_job_has_no_policy_and_the_scheduler_has_one() -> None:
    book = book_of(entry("a", alerts=[{}], enabled=False), entry("b", alerts=[{"severity": "degraded"}]))
    assert book.policy_of(AlertKey("a", "failed")) is None
    policy = book.policy_of(AlertKey("b", "failed"))
    assert policy is not None
    assert (policy.severity, policy.rank) == ("degraded", 10)
    blind = book.policy_of(BLIND_KEY)
    assert blind is not None
    assert blind.severity == "blind"


def test_a_group_has_its_enabled_members() -> None:
    book = book_of(entry("a"), entry("b", enabled=False), entry("c"), groups={"g": {"jobs": {"jobs": ["a", "b"]}}})
    assert book.groups["g"].members == ("a",)
    assert book.groups_of(["a", "b", "c"]) == {"g"}


LAST = {"old": START - MINUTE, "new": START + MINUTE}


@pytest.mark.parametrize(
    ("subject", "is_checked"),
    [
        ("new", True),
        ("old", False),
        ("manual", True),
        ("disabled", True),
        ("paused", True),
        ("unknown", True),
        ("both", False),
        ("fresh", True),
    ],
)
def test_a_parent_is_checked_once_a_later_run_has_finished(subject: str, is_checked: bool) -> None:
    jobs = [entry(name) for name in ("old", "new", "paused")]
    jobs += [entry("manual", None), entry("disabled", enabled=False)]
    groups = {"both": {"jobs": {"jobs": ["old", "new"]}}, "fresh": {"jobs": {"jobs": ["new", "paused"]}}}

    def find(job: str) -> datetime | None:
        return LAST.get(job)

    pauses = {"paused": describe_pause("", "deployment", None)}
    facts = DefinedFacts(book_of(*jobs, groups=groups), START, pauses=pauses, last_due=find)
    assert facts.is_checked_since(subject, START) is is_checked


def test_a_paused_job_is_held_back() -> None:
    book = book_of(entry("a", alerts=[{}]))
    pauses = {"a": describe_pause("", "deployment", START + MINUTE)}
    found = DefinedFacts(book, START, pauses=pauses).suppression_of(AlertKey("a", "failed"))
    assert found is not None
    assert (found.name, found.reason, found.until) == ("pause", "deployment", START + MINUTE)


def test_a_severity_that_does_not_exist_any_more_ranks_as_down() -> None:
    policy = book_of(entry("a", alerts=[{"severity": "odd"}])).policy_of(AlertKey("a", "failed"))
    assert policy is not None
    assert (policy.severity, policy.rank) == ("odd", 20)


def test_a_channel_that_does_not_exist_any_more_is_notified_so_that_delivery_reports_it() -> None:
    facts = DefinedFacts(book_of(entry("a", alerts=[{"notify": ["gone"]}])), START)
    assert channels(facts, incident_of("a")) == ["gone"]


def test_a_parent_that_does_not_exist_any_more_is_not_waited_for() -> None:
    facts = DefinedFacts(book_of(entry("a", alert_parent="gone", alerts=[{}])), START)
    assert facts.parents_of("a") == ("gone",)
    assert facts.is_checked_since("gone", START)
    assert facts.policy_of(AlertKey("gone", "failed")) is None


def test_a_job_is_watched_if_it_has_rules_or_belongs_to_a_group() -> None:
    book = book_of(
        entry("ruled", alerts=[{}]),
        entry("member", tags=WEB["tags"]),
        entry("disabled", alerts=[{}], enabled=False),
        entry("bare"),
        groups={"web": {"jobs": WEB, "alerts": [{}]}},
    )
    watches = {name: book.watch_of(name) for name in ("ruled", "member", "disabled", "bare", "unknown")}
    assert {name for name, watch in watches.items() if watch is not None} == {"ruled", "member"}
    assert watches["ruled"] == RunWatch(book.rules_of("ruled"), in_group=False, in_objective=False)
    assert watches["member"] == RunWatch(NO_RULES, in_group=True, in_objective=False)
