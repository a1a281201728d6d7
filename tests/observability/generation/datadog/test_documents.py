"""Documents for Datadog: valid by its client's models, and about metrics that it gets with these tags."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from jobs.policies.execution import Reporting
from observability import names
from observability.generation.datadog.monitors import tag_value
from observability.generation.datadog.target import TARGET, find_invalid_parts
from observability.generation.document import GeneratedDocument
from observability.generation.portfolio import Portfolio, PortfolioJob, PortfolioObjective
from scheduler.watchdog.report import WATCHDOG_GAUGES
from tests.observability.generation.grafana.portfolios import CHECKOUT, PORTFOLIO, SEARCH

TIME = replace(SEARCH, objective=PortfolioObjective(99.5, 28, "time"), groups=("shop", "Find & buy"))
WHOLE = replace(PORTFOLIO, jobs=(CHECKOUT, TIME))
DOCUMENTS = {document.path: document for document in TARGET.generate(WHOLE)}
METRICS = {metric.name: metric for metric in names.METRICS} | {
    names.gauge_metric(gauge).name: names.gauge_metric(gauge) for gauge in WATCHDOG_GAUGES
}
QUERY = re.compile(r"(sum|avg|max|p\d\d):([\w.]+)\{([^{}]*)\}(?: by \{(\w+)\})?(\.as_count\(\))?")


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str):
        yield value


def queries(documents: list[GeneratedDocument]) -> list[tuple[str, str, str, str, str]]:
    found = [match for document in documents for text in texts(document.value) for match in QUERY.findall(text)]
    assert found
    return found


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_valid_by_the_models(path: str) -> None:
    assert find_invalid_parts(DOCUMENTS[path].kind, DOCUMENTS[path].value) == []


def test_there_is_a_document_for_each_question() -> None:
    assert sorted(path for path in DOCUMENTS if path.startswith("monitors/") and "burn" not in path) == [
        "monitors/dead-letters.json",
        "monitors/group-find-buy-ca44ea99.json",
        "monitors/group-shop.json",
        "monitors/job-status.json",
        "monitors/lateness.json",
        "monitors/scheduler-silent.json",
        "monitors/silent-jobs.json",
        "monitors/undelivered-notifications.json",
    ]
    assert sum("burn-rate" in path for path in DOCUMENTS) == 8
    assert [path for path in DOCUMENTS if path.startswith("slos/")] == [
        "slos/objective-checkout.json",
        "slos/objective-search.v2.json",
    ]


MUTATIONS = {
    "dashboards/scheduler.json": lambda value: value.update(layout_type="orderly"),
    "dashboards/scheduler.json 2": lambda value: value["widgets"][0]["definition"]["widgets"][1]["definition"].update(
        type="query_valu"
    ),
    "dashboards/scheduler.json 3": lambda value: value["widgets"][1]["definition"]["widgets"][0]["definition"][
        "requests"
    ][0].update(display_type="lines"),
    "monitors/job-status.json": lambda value: value.update(type="service checks"),
    "monitors/scheduler-silent.json": lambda value: value["options"].update(notify_no_data="yes"),
    "monitors/group-shop.json": lambda value: value["options"]["thresholds"].update(critcal=1),
    "monitors/dead-letters.json": lambda value: value.pop("query"),
    "slos/objective-checkout.json": lambda value: value["thresholds"][0].update(timeframe="31d"),
    "slos/objective-search.v2.json": lambda value: value["sli_specification"]["time_slice"].update(comparator="is"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_is_found(mutation: str) -> None:
    document = DOCUMENTS[mutation.partition(" ")[0]]
    value = copy.deepcopy(document.value)
    MUTATIONS[mutation](value)
    assert find_invalid_parts(document.kind, value) != []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_wrong_enumeration_is_found_in_every_document(path: str) -> None:
    key = "layout_type" if DOCUMENTS[path].kind == "dashboard" else "type"
    assert find_invalid_parts(DOCUMENTS[path].kind, {**DOCUMENTS[path].value, key: "unknown"}) != []


def test_every_metric_exists_with_the_tags_of_its_query() -> None:
    sources = {names.TAG_ENV, names.TAG_SERVICE}
    for aggregator, name, scope, by, count in queries(list(DOCUMENTS.values())):
        metric = METRICS[name]
        used = {found for found in re.findall(r"\$?(\w+)(?::| IN|\b(?=[,}]|$))", scope) if found in metric_tags()}
        assert used | ({by} if by else set()) <= {*metric.tags, *sources, "team"}, (name, scope, by)
        assert (metric.kind == "count") == bool(count), name
        assert metric.kind == "distribution" or not aggregator.startswith("p")


def metric_tags() -> set[str]:
    return {tag.name for tag in names.METRIC_TAGS} | {"team"}


def test_metrics_without_the_tag_job_are_not_filtered_by_it() -> None:
    by_default = dashboard_scopes(WHOLE, names.LATENESSES.name)
    every = tuple(replace(job, reporting=Reporting(metrics="all")) for job in WHOLE.jobs)
    assert by_default == {"$env,$service"}
    assert dashboard_scopes(replace(WHOLE, jobs=every), names.LATENESSES.name) == {"$env,$service,$job,$team"}
    assert "$env,$service,$job,$team" in dashboard_scopes(WHOLE, names.DURATIONS.name)


def dashboard_scopes(portfolio: Portfolio, metric: str) -> set[str]:
    (dashboard,) = [one for one in TARGET.generate(portfolio) if one.kind == "dashboard"]
    return {scope for _, name, scope, _, _ in queries([dashboard]) if name == metric}


def test_a_job_without_metrics_of_its_own_has_no_objective_and_is_not_in_the_monitor_of_its_group() -> None:
    total = replace(CHECKOUT, reporting=Reporting(metrics="total"))
    documents = {one.path: one for one in TARGET.generate(replace(PORTFOLIO, jobs=(total, SEARCH)))}
    assert not any(path.startswith("slos/") for path in documents)
    assert "job:search.v2" in documents["monitors/group-shop.json"].value["query"]
    assert "checkout" not in documents["monitors/group-shop.json"].value["query"]


def test_a_new_job_is_in_the_monitor_of_its_group_and_has_an_objective() -> None:
    more = replace(CHECKOUT, name="basket")
    documents = {one.path: one for one in TARGET.generate(replace(PORTFOLIO, jobs=(more, *PORTFOLIO.jobs)))}
    assert "job IN (basket, checkout, search.v2)" in documents["monitors/group-shop.json"].value["query"]
    assert "slos/objective-basket.json" in documents


def test_the_queries_are_those_of_datadog_s_documentation() -> None:
    assert DOCUMENTS["monitors/job-status.json"].value["query"] == (
        '"scheduler.job.status".over("env:prod","service:checks").by("job").last(4).count_by_status()'
    )
    assert DOCUMENTS["monitors/burn-rate-1h-checkout.json"].value["query"] == (
        'burn_rate("{{id of slos/objective-checkout.json}}").over("30d").long_window("1h").short_window("5m") > 14.4'
    )
    dead_man = DOCUMENTS["monitors/scheduler-silent.json"].value
    assert (dead_man["options"]["notify_no_data"], dead_man["options"]["no_data_timeframe"]) == (True, 10)
    assert DOCUMENTS["slos/objective-checkout.json"].value["query"]["numerator"] == (
        "sum:scheduler.job.runs{env:prod AND service:checks AND job:checkout AND outcome:succeeded}.as_count()"
    )


def test_values_of_tags_are_as_datadog_stores_them() -> None:
    assert tag_value("Checkout API/EU") == "checkout_api/eu"


def test_titles_of_widgets_identify_them() -> None:
    dashboard = DOCUMENTS["dashboards/scheduler.json"].value
    for group in dashboard["widgets"]:
        titles = [widget["definition"]["title"] for widget in group["definition"]["widgets"]]
        assert len(titles) == len(set(titles))
    titles = [group["definition"]["title"] for group in dashboard["widgets"]]
    assert len(titles) == len(set(titles))


def test_without_jobs_there_are_the_documents_of_the_scheduler() -> None:
    paths = [one.path for one in TARGET.generate(Portfolio())]
    assert "monitors/scheduler-silent.json" in paths
    assert "monitors/job-status.json" not in paths
    assert all(find_invalid_parts(one.kind, one.value) == [] for one in TARGET.generate(Portfolio()))


def test_two_environments_have_different_ids() -> None:
    ids = [json.dumps(TARGET.generate(replace(WHOLE, datadog_env=env))[0].value["tags"]) for env in ("prod", "test")]
    assert ids[0] != ids[1]


def test_names_that_differ_in_letters_only_are_different_files() -> None:
    jobs = tuple(PortfolioJob(name, "http", objective=PortfolioObjective(99, 7)) for name in ("A", "a"))
    paths = [one.path for one in TARGET.generate(Portfolio(jobs))]
    assert len(paths) == len(set(paths))
