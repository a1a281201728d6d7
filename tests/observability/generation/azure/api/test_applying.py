from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from observability.generation.applying import ApplyOptions
from observability.generation.portfolio import Portfolio
from tests.observability.generation.azure.api.commands import (
    COMPONENT,
    DAYTIME,
    ON_CALL,
    apply,
    drift,
    edit_workbook,
    rule_path,
    workbook_path,
)
from tests.observability.generation.azure.portfolios import SHOP, job
from tests.parts.arm_server import ArmServer

ONE_JOB = Portfolio((job("checkout", groups=("payments",)),), "prod", "shop")
TWO_JOBS = replace(ONE_JOB, jobs=(*ONE_JOB.jobs, job("refunds", groups=("payments",))))
DOWN, SILENT = "shop-prod-down-payments-1h", "shop-prod-silent-payments-1h"


def test_the_first_apply_creates_every_resource_and_the_second_writes_nothing(arm: ArmServer, tmp_path: Path) -> None:
    first = apply(arm, tmp_path, SHOP)
    assert [outcome.error for outcome in first if outcome.error] == []
    assert {outcome.action for outcome in first if outcome.path.startswith("resources/")} == {"create"}
    assert len(arm.writes()) == len([path for path in arm.resources if path != COMPONENT]) > 10
    second = apply(arm, tmp_path, SHOP)
    assert {outcome.action for outcome in second} == {"none"}
    assert arm.writes() == []
    assert drift(arm, tmp_path) == []


def test_a_resource_has_the_place_of_the_environment_variables(arm: ArmServer, tmp_path: Path) -> None:
    apply(arm, tmp_path, ONE_JOB)
    rule, workbook = arm.resources[rule_path(DOWN)], arm.resources[workbook_path(arm)]
    assert rule["location"] == workbook["location"] == "westeurope"
    assert rule["properties"]["scopes"] == [COMPONENT.lower()]
    assert rule["properties"]["actions"] == {"actionGroups": [ON_CALL]}
    assert workbook["properties"]["sourceId"] == COMPONENT
    assert json.loads(workbook["properties"]["serializedData"])["fallbackResourceIds"] == [COMPONENT]


def test_changed_action_groups_are_applied(arm: ArmServer, tmp_path: Path) -> None:
    apply(arm, tmp_path, ONE_JOB)
    apply(arm, tmp_path, ONE_JOB, AZURE_ACTION_GROUP_IDS=f"{ON_CALL},{DAYTIME}")
    assert arm.resources[rule_path(DOWN)]["properties"]["actions"] == {"actionGroups": [ON_CALL, DAYTIME]}
    apply(arm, tmp_path, ONE_JOB, AZURE_ACTION_GROUP_IDS="")
    assert arm.resources[rule_path(DOWN)]["properties"]["actions"] == {"actionGroups": []}


def test_an_edit_by_hand_is_kept_and_reported_while_new_jobs_appear(arm: ArmServer, tmp_path: Path) -> None:
    apply(arm, tmp_path, ONE_JOB)
    arm.resources[rule_path(DOWN)]["properties"]["severity"] = 3
    arm.resources[rule_path(DOWN)]["properties"]["muteActionsDuration"] = "PT1H"
    edit_workbook(arm, '"Failed runs by job"', '"Failures"')
    outcomes = apply(arm, tmp_path, TWO_JOBS)
    assert [outcome.conflicts for outcome in outcomes if outcome.conflicts] == []
    rule = arm.resources[rule_path(DOWN)]["properties"]
    assert (rule["severity"], rule["muteActionsDuration"]) == (3, "PT1H")
    assert '"refunds"' in rule["criteria"]["allOf"][0]["query"]
    content = arm.resources[workbook_path(arm)]["properties"]["serializedData"]
    assert '"Failures"' in content
    assert "refunds" in content
    assert drift(arm, tmp_path) == [
        f"{DOWN}/properties/severity",
        f"{DOWN}/properties/muteActionsDuration",
        "workbook/properties/serializedData/items/name=tab overview/content/items/name=failures/content/title",
    ]


def test_a_query_that_both_changed_is_a_conflict_until_it_is_overwritten(arm: ArmServer, tmp_path: Path) -> None:
    apply(arm, tmp_path, ONE_JOB)
    condition = arm.resources[rule_path(DOWN)]["properties"]["criteria"]["allOf"][0]
    condition["query"] += "\n| where Failed > 5"
    (conflict,) = [each for outcome in apply(arm, tmp_path, TWO_JOBS) for each in outcome.conflicts]
    assert conflict.pointer[-1] == "query"
    kept = arm.resources[rule_path(DOWN)]["properties"]["criteria"]["allOf"][0]["query"]
    assert kept.endswith("> 5")
    apply(arm, tmp_path, TWO_JOBS, ApplyOptions(overwrites=True))
    written = arm.resources[rule_path(DOWN)]["properties"]["criteria"]["allOf"][0]["query"]
    assert '"refunds"' in written
    assert "> 5" not in written


def test_a_removed_job_and_a_removed_group_disappear(arm: ArmServer, tmp_path: Path) -> None:
    apply(arm, tmp_path, TWO_JOBS)
    apply(arm, tmp_path, ONE_JOB)
    assert "refunds" not in json.dumps(arm.resources)
    apply(arm, tmp_path, Portfolio((job("checkout"),), "prod", "shop"))
    assert rule_path(DOWN) not in arm.resources
    assert rule_path(SILENT) not in arm.resources
    assert rule_path("shop-prod-down-no-group-1h") in arm.resources


def test_a_rule_of_a_removed_group_that_a_person_changed_remains(arm: ArmServer, tmp_path: Path) -> None:
    apply(arm, tmp_path, ONE_JOB)
    arm.resources[rule_path(DOWN)]["properties"]["severity"] = 4
    outcomes = apply(arm, tmp_path, Portfolio((job("checkout"),), "prod", "shop"))
    assert [Path(outcome.path).stem for outcome in outcomes if outcome.conflicts] == [DOWN]
    assert rule_path(DOWN) in arm.resources


def test_a_dry_run_writes_nothing(arm: ArmServer, tmp_path: Path) -> None:
    outcomes = apply(arm, tmp_path, ONE_JOB, ApplyOptions(is_dry_run=True))
    assert "create" in {outcome.action for outcome in outcomes}
    assert arm.writes() == []
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_rule_is_drift(arm: ArmServer, tmp_path: Path) -> None:
    apply(arm, tmp_path, ONE_JOB)
    del arm.resources[rule_path(DOWN)]
    assert drift(arm, tmp_path) == [DOWN]


def test_a_workbook_that_is_not_json_any_more_is_drift(arm: ArmServer, tmp_path: Path) -> None:
    apply(arm, tmp_path, ONE_JOB)
    arm.resources[workbook_path(arm)]["properties"]["serializedData"] = "{"
    assert drift(arm, tmp_path) == ["workbook/properties/serializedData"]
