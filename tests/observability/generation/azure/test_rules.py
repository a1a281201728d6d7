from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from jobs.objectives import BURN_PAIRS
from jobs.policies.execution import Reporting
from observability.generation.azure.resources import ERROR, LogAlertRule
from observability.generation.azure.rules import (
    MAX_OBJECTIVE_JOBS,
    MAX_RULE_JOBS,
    find_objectives,
    fit_pair,
)
from observability.generation.azure.target import list_rules
from observability.generation.kql.objectives import find_silence_limit
from observability.generation.portfolio import Portfolio, PortfolioJob, PortfolioObjective
from tests.observability.generation.azure.portfolios import SHOP, job


def rules_by_name(portfolio: Portfolio) -> dict[str, LogAlertRule]:
    rules = list_rules(portfolio)
    assert len({rule.name for rule in rules}) == len(rules)
    return {rule.name: rule for rule in rules}


def test_jobs_have_one_rule_for_each_group_and_window() -> None:
    names = rules_by_name(SHOP).keys()
    assert {name for name in names if name.startswith(("shop-prod-down-", "shop-prod-silent-"))} == {
        "shop-prod-down-no-group-2d",
        "shop-prod-down-payments-1h",
        "shop-prod-down-payments-6h",
        "shop-prod-silent-no-group-2d",
        "shop-prod-silent-payments-1h",
        "shop-prod-silent-payments-6h",
    }


def test_a_new_job_is_in_the_rules_of_its_group() -> None:
    added = replace(SHOP, jobs=(*SHOP.jobs, job("refunds", groups=("payments",))))
    changed = {name for name, rule in rules_by_name(added).items() if '"refunds"' in rule.query}
    assert changed == {"shop-prod-down-payments-1h", "shop-prod-silent-payments-1h"}


def test_a_disabled_job_is_in_no_rule() -> None:
    paused = replace(SHOP, jobs=tuple(replace(each, enabled=False) for each in SHOP.jobs))
    assert not any("checkout" in rule.query for rule in list_rules(paused))


def test_a_job_of_several_groups_has_one_alert() -> None:
    shop = Portfolio((job("checkout", groups=("a", "b")),))
    assert [name for name in rules_by_name(shop) if "-down-" in name] == ["scheduler-dev-down-a-1h"]


def test_many_jobs_are_divided_among_rules() -> None:
    shop = Portfolio(tuple(job(f"job-{number:04}") for number in range(MAX_RULE_JOBS + 1)))
    rules = rules_by_name(shop)
    assert "job-0300" in rules["scheduler-dev-down-no-group-1h-2"].query
    assert "job-0300" not in rules["scheduler-dev-down-no-group-1h"].query


def test_rules_of_jobs_are_split_by_job() -> None:
    rules = rules_by_name(SHOP)
    assert rules["shop-prod-down-payments-1h"].dimension == "JobName"
    assert rules["shop-prod-scheduler-no-ticks"].dimension == ""


def test_tags_and_owner_that_all_jobs_share_are_on_their_rules() -> None:
    rules = rules_by_name(SHOP)
    assert rules["shop-prod-down-payments-1h"].tags["team"] == "payments"
    assert "Owner: payments." in rules["shop-prod-down-payments-1h"].description
    assert "team" not in rules["shop-prod-down-no-group-2d"].tags


def test_rules_read_one_deployment_only_if_the_service_has_a_name() -> None:
    assert all('cloud_RoleName == "shop"' in rule.query for rule in list_rules(SHOP))
    assert not any("cloud_RoleName ==" in rule.query for rule in list_rules(Portfolio(SHOP.jobs)))


def test_objectives_have_a_rule_for_each_pair_of_windows() -> None:
    rules = rules_by_name(SHOP)
    assert [name for name in rules if "-budget-" in name] == [
        "shop-prod-budget-1h",
        "shop-prod-budget-6h",
        "shop-prod-budget-1d",
        "shop-prod-budget-2d",
    ]
    rule = rules["shop-prod-budget-1h"]
    assert (rule.dimension, rule.severity) == ("Objective", ERROR)
    assert '"checkout", "checkout", real(99.9), "runs", false, true, real(0.016666667), real(1)' in rule.query
    assert '"nightly", "nightly", real(99.0), "time"' in rule.query
    assert "Burn > 14.4" in rule.query


def test_an_objective_over_a_selector_has_a_row_for_each_active_job() -> None:
    all_jobs = {"all": (PortfolioObjective(99.9, 30, is_degraded_bad=True), ("a", "b", "gone"))}
    shop = Portfolio((job("a"), job("b", 30.0)), selected_objectives=all_jobs)
    query = rules_by_name(shop)["scheduler-dev-budget-1h"].query
    assert '"all", "a", real(99.9), "runs", true, true, real(0.050000000), real(2)' in query
    assert '"all", "b"' in query
    assert "gone" not in query


def test_windows_that_azure_cannot_evaluate_spend_the_same_share_of_the_budget() -> None:
    fitted = [fit_pair(pair) for pair in BURN_PAIRS]
    assert max(pair.long for pair in fitted) == timedelta(days=2)
    assert [pair.factor * pair.long for pair in fitted] == [pair.factor * pair.long for pair in BURN_PAIRS]


def test_many_objectives_are_divided_among_rules() -> None:
    names = [f"job-{number:04}" for number in range(301)]
    shop = Portfolio(tuple(job(name, objective=PortfolioObjective(99.9, 30)) for name in names))
    rules = rules_by_name(shop)
    assert "job-0300" in rules["scheduler-dev-budget-1h-2"].query
    assert "job-0300" not in rules["scheduler-dev-budget-1h"].query


def test_an_objective_over_too_many_jobs_has_no_rule() -> None:
    names = [f"job-{number:04}" for number in range(MAX_OBJECTIVE_JOBS + 1)]
    shop = Portfolio(tuple(map(job, names)), selected_objectives={"all": (PortfolioObjective(99.9, 30), tuple(names))})
    assert find_objectives(shop) == []


def test_without_objectives_there_are_no_rules_about_them() -> None:
    shop = Portfolio((job("checkout"),))
    assert not any("-budget-" in name for name in rules_by_name(shop))


def test_a_job_is_silent_after_twice_its_interval_and_what_its_rows_are_delayed() -> None:
    def limit(**reporting: str) -> float | None:
        return find_silence_limit(PortfolioJob("a", "http", interval_s=60.0, reporting=Reporting(**reporting)))

    assert limit() == 2 * 60 + 300 + 300
    assert limit(events="all") == 2 * 60 + 300
    assert limit(metrics="total") == 2 * 60 + 300 + 900
    assert limit(metrics="none", events="none", availability="none") is None


def test_a_daily_job_is_silent_after_two_days_and_a_weekly_one_is_left_to_the_gauge() -> None:
    shop = Portfolio((job("daily", 86400.0), job("weekly", 604800.0)))
    rules = rules_by_name(shop)
    assert '"daily", 172800s' in rules["scheduler-dev-silent-no-group-2d"].query
    assert not any('"weekly"' in rule.query for name, rule in rules.items() if "-silent-no-group-" in name)
    assert "silent_jobs" in rules["scheduler-dev-scheduler-silent-jobs"].query


def test_a_precise_target_keeps_its_digits() -> None:
    shop = Portfolio((job("a", objective=PortfolioObjective(99.9987, 30)),))
    assert "real(99.9987)" in rules_by_name(shop)["scheduler-dev-budget-1h"].query
