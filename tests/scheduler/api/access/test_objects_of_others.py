"""Groups, channels, parents, tokens and secrets of other teams cannot be used by a caller that is limited to tags."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.job_files.job_set import JobSet
from jobs.checks.binding.names import parse_host_pattern, parse_tag
from jobs.checks.binding.rules import BindingRule, BindingRules, Bindings
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.definition.job import SelectedObjective
from scheduler.authentication.port import Authentication
from scheduler.catalog.catalog import JobSnapshot
from tests.parts.notifications import make_channel
from tests.scheduler.api.access.test_limited_changes import CHECK, OURS, THEIRS, Team, definition
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import Shop, entry

TOKEN_OF_OTHERS = {"kind": "heartbeat", "token": {"secret": "their-token"}, "period": "1h"}
FOR_OTHERS = BindingRule((parse_host_pattern("127.0.0.1:9"),), (parse_tag("team:shop"),))
FOR_A_SERVICE = BindingRule((parse_host_pattern("127.0.0.1:9"),), (parse_tag("service"),))
BINDINGS = Bindings(BindingRules({"their-rule": FOR_OTHERS, "service-rule": FOR_A_SERVICE}))
GOAL = {"target": 99.0, "window": "30d"}
SHARED = {
    "concurrency_group": "their-group",
    "circuit": {"consecutive_failures": 3, "group": "their-circuit"},
}


class OtherTeam(Team):
    def __init__(self) -> None:
        self.fixed = Fixed(PAYMENTS)
        jobs = [entry("file-theirs", tags=THEIRS, **SHARED), entry("beat-theirs", tags=THEIRS, check=TOKEN_OF_OTHERS)]
        self.client = ApiClient(jobs=jobs, authentication=Authentication(self.fixed))


@pytest.fixture
async def team(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Team]:
    monkeypatch.setattr(Shop, "bindings", BINDINGS)
    team = OtherTeam()
    async with team.client:
        yield team


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"concurrency_group": "their-group"}, "concurrency_group"),
        ({"circuit": SHARED["circuit"]}, "circuit.group"),
        ({"check": TOKEN_OF_OTHERS}, "check.token"),
    ],
)
async def test_what_only_jobs_of_others_use_is_rejected(team: Team, more: dict[str, Any], key: str) -> None:
    answer = await team.send("POST", "/api/jobs", definition("new") | more)

    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == [f"body.{key}"]
    assert "theirs" not in answer.text


async def test_a_caller_that_sees_all_jobs_can_use_them(team: Team) -> None:
    answer = await team.as_root("POST", "/api/jobs", definition("new") | SHARED)

    assert answer.status_code == 201


async def test_a_job_that_shares_a_group_already_can_be_changed(team: Team) -> None:
    await team.as_root("POST", "/api/jobs", definition("ours") | SHARED)

    assert (await team.send("PATCH", "/api/jobs/ours", {"description": "x"}, If_Match="*")).status_code == 200


async def test_a_parent_of_others_is_rejected_as_one_that_does_not_exist(team: Team) -> None:
    known = await team.send("POST", "/api/jobs", definition("new", alert_parent=["file-theirs"]))
    unknown = await team.send("POST", "/api/jobs", definition("new", alert_parent=["file-theirx"]))

    assert known.status_code == unknown.status_code == 422
    errors = [json.dumps(answer.json()["errors"]) for answer in (known, unknown)]
    assert errors[0].replace("file-theirs", "") == errors[1].replace("file-theirx", "")


@pytest.mark.parametrize("secret", ["their-rule", "service-rule"])
async def test_a_secret_whose_rule_is_for_other_tags_is_rejected(team: Team, secret: str) -> None:
    """A tag that is no limit of the caller does not help: it can give it to a job as it likes."""
    sent = CHECK | {"headers": {"X-Token": {"secret": secret}}}
    job = definition("new", {**OURS, "service": "x"}) | {"check": sent}

    stored = await team.send("POST", "/api/jobs", job)
    tested = await team.send("POST", "/api/definitions/test-run", job)

    assert (stored.status_code, tested.status_code) == (422, 422)
    assert [error["location"] for error in stored.json()["errors"]] == ["body.check.headers.X-Token"]


async def test_a_channel_of_others_is_rejected_as_one_that_does_not_exist(team: Team) -> None:
    channels = tuple(
        DefinedEntry(name, make_channel(kind="ntfy", topic="team"), "jobs.yaml:3") for name in ("their-channel", "free")
    )
    theirs = entry("notify-theirs", tags=THEIRS, alerts=[{"name": "down", "notify": "their-channel"}]).job
    files = JobSet(
        {theirs.name: theirs}, {theirs.name: "jobs.yaml:1"}, alerting=define_alerting({"channels": channels})
    )
    await team.client.shop.composer.replace_files(files)

    def notifying(channel: str) -> dict[str, Any]:
        return definition("new", alerts=[{"name": "down", "notify": channel}])

    known = await team.send("POST", "/api/jobs", notifying("their-channel"))
    unknown = await team.send("POST", "/api/jobs", notifying("their-channex"))
    free = await team.send("POST", "/api/jobs", notifying("free"))

    assert (known.status_code, unknown.status_code, free.status_code) == (422, 422, 201)
    errors = [json.dumps(answer.json()["errors"]) for answer in (known, unknown)]
    assert errors[0].replace("their-channel", "") == errors[1].replace("their-channex", "")


async def test_an_objective_without_a_job_of_the_caller_does_not_exist(team: Team) -> None:
    entries = tuple(
        DefinedEntry(f"goal-{of}", SelectedObjective.model_validate(GOAL | {"select": {"tags": {"team": of}}}), "j:1")
        for of in ("payments", "shop")
    )
    ours = entry("ours", tags=OURS)
    jobs = [ours, entry("theirs", tags=THEIRS, slo=GOAL)]
    alerting = define_alerting({"objectives": entries})
    team.client.shop.catalog.replace(JobSnapshot(jobs, alerting=alerting))

    listed = await team.send("GET", "/api/objectives")
    page = await team.send("GET", "/api/dashboard/jobs/ours/alerts")
    one = await team.send("GET", "/api/objectives/goal-shop")
    near = await team.send("GET", "/api/objectives/goal-shox")

    assert [each["objective"]["name"] for each in listed.json()["objectives"]] == ["goal-payments"]
    assert "shop" not in listed.text + page.text
    assert (one.status_code, near.status_code) == (404, 404)
    assert one.json()["detail"].replace("goal-shop", "") == near.json()["detail"].replace("goal-shox", "")


async def test_a_token_whose_rule_is_for_other_tags_accepts_no_ping(team: Team) -> None:
    token = "0123456789abcdef0123456789abcdef"
    team.client.shop.tokens.values = {"their-rule": token}
    check = TOKEN_OF_OTHERS | {"token": {"secret": "their-rule"}}
    jobs = [entry("beat-ours", tags=OURS, check=check), entry("beat-theirs", tags=THEIRS, check=check)]
    team.client.shop.catalog.replace(JobSnapshot(jobs))

    answer = await team.client.request("GET", f"/api/ping/{token}")

    assert answer.status_code == 200
    beats = team.client.shop.heartbeats
    assert [(await beats.beat(name)).number for name in ("beat-ours", "beat-theirs")] == [0, 1]
