"""What keeps messages from being sent is found in the definitions alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.definition import JobDefinition
from jobs.definition.alerting_gaps import AlertingGaps, SubjectClasses, find_alerting_gaps
from jobs.definition.alerting_registry import PARTS_BY_KEY
from jobs.definition.alerting_section import NO_ALERTING, AlertingDefinitions, DefinedEntry, define_alerting
from jobs.definition.job import SelectedObjective
from jobs.definition.job_alerts import OBJECTIVES_PART
from jobs.incidents.suppression.windows import AlertSubject, SubjectSelector
from jobs.model_base import FILE_CONTEXT

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
CHECK = {"kind": "http", "url": "https://shop.example"}
TEAM = {"kind": "ntfy", "topic": "team-topic"}


def job(name: str, **keys: Any) -> JobDefinition:
    return JobDefinition.model_validate({"name": name, "check": CHECK, **keys}, context=FILE_CONTEXT)


def define(**parts: Any) -> AlertingDefinitions:
    entries = {}
    for key, written in parts.items():
        named = written.items() if isinstance(written, dict) else (("", each) for each in written)
        adapter = PARTS_BY_KEY[key].adapter
        entries[key] = tuple(
            DefinedEntry(name, adapter.validate_python(each, context=FILE_CONTEXT)) for name, each in named
        )
    return define_alerting(entries)


def gaps(alerting: AlertingDefinitions, *jobs: JobDefinition) -> AlertingGaps:
    return find_alerting_gaps(jobs, alerting, NOON)


def burn(**keys: Any) -> AlertingDefinitions:
    """Return a channel, and an objective with burn alerts over all jobs."""
    value = {"target": 99, "select": {"all": True}, "alerts": True, **keys}
    objective = DefinedEntry("shop", SelectedObjective.model_validate(value, context=FILE_CONTEXT))
    return define_alerting({**define(channels={"team": TEAM}).parts, OBJECTIVES_PART: (objective,)})


EVERYTHING = [{"notify": "team"}]


def test_without_any_alerting_nothing_is_missing() -> None:
    assert gaps(NO_ALERTING, job("a")) == AlertingGaps()
    assert gaps(NO_ALERTING, job("a")).sentences() == []


def test_jobs_without_a_rule_are_missing_one_once_a_channel_exists() -> None:
    jobs = [job("own", alerts=[{"notify": "team"}]), job("bare"), job("off", enabled=False), job("none", alerts=[])]
    rules = [{"select": {"jobs": "selected"}, "alerts": []}]
    groups = {"g": {"jobs": {"jobs": "member"}}}
    alerting = define(channels={"team": TEAM}, rules=rules, groups=groups, routes=EVERYTHING)

    assert gaps(alerting, *jobs, job("selected"), job("member")).jobs_without_rules == ("bare",)
    assert gaps(define(rules=rules), *jobs).jobs_without_rules == ()


def test_a_sentence_names_the_first_jobs_and_the_number_of_all() -> None:
    found = gaps(define(channels={"team": TEAM}, routes=EVERYTHING), *(job(f"j{number}") for number in range(7)))
    assert found.sentences() == [
        "7 enabled jobs have no alert rule, so that their failures are not reported: j0, j1, j2, j3, j4 and 2 more."
    ]


def test_a_rule_without_notify_and_without_a_route_is_unrouted() -> None:
    jobs = [job("a", alerts=[{}, {"when": "degraded"}]), job("b", alerts=[{"notify": "team"}])]
    routes = [{"match": {"severities": "down"}, "notify": "team"}]
    found = gaps(define(channels={"team": TEAM}, routes=routes), *jobs)

    assert [rule.name for rule in found.unrouted_rules] == ["a/degraded"]
    assert found.sentences() == ["1 rule notifies no channel: a/degraded."]


def test_a_group_has_rules_and_tags_too() -> None:
    groups = {"g": {"jobs": {"all": True}, "tags": {"team": "x"}}}
    routes = [{"match": {"tags": {"team": "x"}, "kinds": "group"}, "notify": "team"}]
    assert gaps(define(channels={"team": TEAM}, groups=groups, routes=routes), job("a")) == AlertingGaps()
    assert [rule.name for rule in gaps(define(groups=groups)).unrouted_rules] == ["g/failed"]


def test_a_rule_that_is_routed_at_some_times_only_is_found() -> None:
    day = {"weekly": {"from": "08:00", "to": "18:00"}}
    routes = [{"time": {"only": day}, "notify": "team"}]
    (rule,) = gaps(define(channels={"team": TEAM}, routes=routes), job("a", alerts=[{}])).unrouted_rules
    assert rule.since == NOON.replace(hour=18)

    routes.append({"time": {"only": {"weekly": {"from": "18:00", "to": "08:00"}}}, "notify": "team"})
    assert gaps(define(channels={"team": TEAM}, routes=routes), job("a", alerts=[{}])) == AlertingGaps()


def test_a_route_that_notifies_none_is_deliberate() -> None:
    found = gaps(define(channels={"team": TEAM}, routes=[{"notify": []}]), job("a", alerts=[{}]))
    assert found.unrouted_rules == ()


def test_routes_windows_and_channels_without_an_effect_are_found() -> None:
    windows = [
        {"name": "typo", "select": {"jobs": "b*"}, "schedule": "0 0 2 * * *", "for": "1h"},
        {"name": "over", "select": {"jobs": "b*"}, "from": "2026-01-01T00:00:00Z", "for": "1h"},
        {"name": "night", "select": {"tags": {"app": "shop"}}, "schedule": "0 0 2 * * *", "for": "1h"},
    ]
    routes = [
        {"name": "web", "match": {"jobs": "web-*"}, "notify": "team"},
        {"match": {"kinds": "scheduler"}, "notify": "team"},
        {"notify": "team"},
        {"match": {"severities": "down"}, "notify": "team"},
    ]
    channels = {"team": {**TEAM, "fallback": "mail"}, "mail": TEAM, "old": TEAM}
    found = gaps(define(channels=channels, windows=windows, routes=routes), job("a", tags={"app": "shop"}, alerts=[{}]))

    assert found.sentences() == [
        "web: it matches no alert.",
        "route 4: earlier routes match all that it matches.",
        "the window typo selects no job and no group.",
        "the channel old is used by no rule, route, rota or fallback.",
    ]


def test_a_rota_uses_its_channels() -> None:
    on_call = {"p": {"url": "https://x.example", "people": {"A": "phone"}, "otherwise": "team"}}
    found = gaps(define(channels={"team": TEAM, "phone": TEAM}, on_call=on_call, routes=[{"on_call": "p"}]))
    assert found.unused_channels == ()


@pytest.mark.parametrize("name", ["shop", "shop-1", "web", "other"])
def test_subjects_of_one_class_are_selected_alike(name: str) -> None:
    selectors = [
        SubjectSelector(jobs=("shop-*", "web")),
        SubjectSelector(tags={"team": ("a", "b*")}),
        SubjectSelector(kinds=("http",), severities=("down",)),
    ]
    classes = SubjectClasses(selectors)
    subjects = [
        AlertSubject(each, kind, severity, tags)
        for each in (name, "another")
        for kind in ("http", "tcp")
        for severity in ("down", "info")
        for tags in ({}, {"team": "a"}, {"team": "bc", "x": "y"}, {"x": "y"})
    ]
    for one in subjects:
        for other in subjects:
            if classes.key_of(one) == classes.key_of(other):
                assert [each.matches(one) for each in selectors] == [each.matches(other) for each in selectors]


def test_many_jobs_are_compared_as_few() -> None:
    classes = SubjectClasses([SubjectSelector(tags={"team": ("a",)}), SubjectSelector(jobs=("job-1*",))])
    subjects = [
        AlertSubject(f"job-{number}", "http", "", {"team": f"t{number % 5}", "service": f"s{number}"})
        for number in range(2000)
    ]
    found = classes.one_of_each(subjects)
    assert len([one for one in found if not one.name.startswith("job-1")]) == 5


def test_burn_alerts_of_several_jobs_are_rules_of_their_objective() -> None:
    found = gaps(burn(), job("a"))
    assert [str(each.name) for each in found.unrouted_rules][:1] == ["shop/slo-burn-1h"]
    assert found.jobs_without_rules == (), "the objective reports the failures of its jobs"


def test_a_channel_of_burn_alerts_is_used() -> None:
    page = {"page": {"notify": "team"}}
    assert gaps(burn(alerts=page), job("a")).unused_channels == ()
    slo = {"target": 99, "alerts": page}
    assert gaps(define(channels={"team": TEAM}), job("a", slo=slo)).unused_channels == ()
