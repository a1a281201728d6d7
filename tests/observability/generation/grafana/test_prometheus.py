"""Every query and every rule, in a Prometheus that has scraped two instances of the scheduler."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from observability.generation.grafana.prometheus_dashboard import make_prometheus_dashboard
from observability.generation.portfolio import Portfolio, PortfolioJob
from observability.generation.prometheus import make_prometheus_rules
from observability.names.series import SERIES, watchdog_series
from scheduler.watchdog.report import WATCHDOG_GAUGES
from tests.observability.generation.grafana.portfolios import PORTFOLIO, serve_page
from tests.parts.prometheus import Prometheus, promtool, running_prometheus

GRAFANA_VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$job": ".*", "$kind": ".*", "$tag_team": ".*"}


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    rules = make_prometheus_rules(PORTFOLIO).render()
    with serve_page() as port:
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": f"/{name}", "instance": name}}
            for name in ("one", "two")
        ]
        config = {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
            "scrape_configs": [{"job_name": "scheduler", "static_configs": targets}],
            "rule_files": ["rules.yaml"],
        }
        with running_prometheus(config, {"rules.yaml": rules}) as running:
            running.wait_for("count(rate(scheduler_job_runs_total[1m])) == 12")
            yield running


def expressions() -> list[str]:
    dashboard = make_prometheus_dashboard(PORTFOLIO).value
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets") or ()]


def fill_in(expression: str) -> str:
    for name, value in GRAFANA_VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def test_every_query_of_the_dashboard_returns_a_series(prometheus: Prometheus) -> None:
    found = expressions()
    assert [text for text in found if not prometheus.query(fill_in(text))] == []
    assert len(found) > 40
    assert not any("$" in fill_in(text) for text in found)


def test_every_series_exists_on_the_page() -> None:
    declared = {series.name for series in SERIES} | {watchdog_series(gauge).name for gauge in WATCHDOG_GAUGES}
    rules = [rule["expr"] for group in make_prometheus_rules(PORTFOLIO).value["groups"] for rule in group["rules"]]
    used = {found for text in [*expressions(), *rules] for found in re.findall(r"\bscheduler_\w+", text)}
    assert {found.removesuffix("_bucket") for found in used} - declared == set()


def test_two_instances_do_not_count_twice(prometheus: Prometheus) -> None:
    (jobs,) = prometheus.query(fill_in(panel_query("Jobs")))
    (down,) = prometheus.query(fill_in(panel_query("Down")))
    (incidents,) = prometheus.query(fill_in(panel_query("Open incidents")))
    assert [one["value"][1] for one in (jobs, down, incidents)] == ["3", "1", "1"]


def test_the_success_rate_is_that_of_the_runs(prometheus: Prometheus) -> None:
    (ratio,) = prometheus.query(fill_in(panel_query("Success rate")))
    assert float(ratio["value"][1]) == pytest.approx(0.9)


def test_a_job_is_silent_only_while_the_watchdog_finds_one(prometheus: Prometheus) -> None:
    query = fill_in(panel_query("Silent jobs"))
    assert prometheus.query(query)[0]["value"][1] == "1"
    assert prometheus.query(query.replace("silent_jobs) > 0", "silent_jobs) > 1"))[0]["value"][1] == "0"


def panel_query(title: str) -> str:
    panels = make_prometheus_dashboard(PORTFOLIO).value["panels"]
    return next(str(panel["targets"][0]["expr"]) for panel in panels if panel["title"] == title)


def test_the_values_of_variables_exist(prometheus: Prometheus) -> None:
    for variable in make_prometheus_dashboard(PORTFOLIO).value["templating"]["list"][1:]:
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
        assert prometheus.get(f"label/{label}/values", **{"match[]": fill_in(selector)}), variable["name"]


def test_every_rule_can_be_evaluated_and_alerts_fire(prometheus: Prometheus) -> None:
    prometheus.wait_for('ALERTS{alertname="SchedulerJobDown"}')
    prometheus.wait_for("job_name:scheduler_job_duration_seconds:p95_1h")
    prometheus.wait_for('ALERTS{alertname="SchedulerErrorBudgetBurns"}')
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule.get("lastError")] == []
    pending = {alert["metric"]["alertname"]: alert["metric"] for alert in prometheus.query("ALERTS")}
    assert pending["SchedulerJobDown"]["tag_team"] == "find"
    names = {rule["name"] for rule in rules if rule["type"] == "alerting"}
    # The page is scraped, so the absence of it is the only alert that does not fire; the group is at its limit.
    assert names - pending.keys() <= {"SchedulerAbsent", "SchedulerGroupFailing"}


def test_promtool_accepts_the_rules_and_finds_a_mutation(tmp_path: object) -> None:
    text = make_prometheus_rules(PORTFOLIO).render()
    assert promtool("check", "rules", "--lint-fatal", stdin=text).returncode == 0
    for before, after in (
        ("max by (job_name) (", "max by (job_name ("),
        ("expr:", "expression:"),
        ("for: 5m", "for: 5q"),
    ):
        assert promtool("check", "rules", stdin=text.replace(before, after, 1)).returncode != 0


def test_a_new_job_is_in_the_panels_of_its_group() -> None:
    more = PortfolioJob("basket", "http", groups=("shop",))
    grown = make_prometheus_dashboard(Portfolio((*PORTFOLIO.jobs, more), "prod", "checks")).render()
    assert 'job_name=~\\"basket|checkout|search\\\\\\\\.v2\\"' in grown
    assert "basket" not in make_prometheus_dashboard(PORTFOLIO).render()


def test_the_document_is_the_same_each_time_and_ids_of_panels_differ() -> None:
    one, two = make_prometheus_dashboard(PORTFOLIO), make_prometheus_dashboard(PORTFOLIO)
    assert one.render() == two.render()
    ids = [panel["id"] for panel in json.loads(one.render())["panels"]]
    assert len(ids) == len(set(ids))
