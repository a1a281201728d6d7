"""POST /api/definitions/validate and /next: what is found about definitions that are not saved."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from jobs.definition import JobDefinition
from scheduler import turns
from scheduler.catalog.catalog import CatalogJob
from scheduler.features.jobs import definitions
from tests.jobs.running.run_parts import answer
from tests.parts.turns import counted_turns
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

VALIDATE, NEXT = "/api/definitions/validate", "/api/definitions/next"
TEST_RUN = "/api/definitions/test-run"
CHECK = {"url": "https://checkout.example.com/health"}
YAML = """jobs:
  checkout-api:
    schedule: every 5m
    check: {url: "https://checkout.example.com/health"}
    retires: 3
"""


def in_force() -> list[CatalogJob]:
    return [entry("database"), entry("cart", concurrency_group={"name": "shop", "limit": 2})]


async def post_yaml(client: ApiClient, path: str, text: str, **query: Any) -> httpx.Response:
    headers = {"Content-Type": "application/yaml"}
    return await client.request("POST", path, content=text, headers=headers, params=query or None)


async def test_one_job_is_returned_in_its_normal_form_and_is_not_saved() -> None:
    async with ApiClient(jobs=in_force()) as client:
        review = (await client.post_json(VALIDATE, {"name": "checkout", "check": CHECK})).json()
        listed = [job["name"] for job in (await client.get("/api/jobs")).json()["jobs"]]

    assert (review["valid"], review["problems"], review["warnings"]) == (True, [], [])
    (job,) = review["jobs"]
    assert (job["name"], job["kind"], job["definition"]["retry"]["attempts"]) == ("checkout", "http", 3)
    assert listed == ["cart", "database"]


async def test_a_problem_has_its_path_its_line_and_a_hint() -> None:
    async with ApiClient(jobs=in_force()) as client:
        review = (await post_yaml(client, VALIDATE, YAML)).json()

    assert (review["valid"], review["jobs"]) == (False, [])
    assert review["problems"] == [
        {
            "path": "jobs.checkout-api.retires",
            "message": "unknown key, did you mean retry?",
            "hint": None,
            "line": 5,
        }
    ]


async def test_a_document_that_cannot_be_parsed_is_a_problem_with_a_line() -> None:
    async with ApiClient(jobs=in_force()) as client:
        review = (await post_yaml(client, VALIDATE, "jobs:\n  a: [\n")).json()

    assert (review["valid"], len(review["problems"])) == (False, 1)
    assert review["problems"][0]["line"] is not None


async def test_the_flat_form_is_accepted() -> None:
    async with ApiClient(jobs=in_force()) as client:
        review = (await client.post_json(VALIDATE, {"JobName": "checkout", "Endpoint": CHECK["url"]})).json()

    assert [job["definition"]["check"]["url"] for job in review["jobs"]] == [CHECK["url"]]


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        ({"depends_on": ["database"]}, ""),
        ({"depends_on": ["databse"]}, "databse"),
        ({"concurrency_group": {"name": "shop", "limit": 2}}, ""),
        ({"concurrency_group": {"name": "shop", "limit": 3}}, ""),  # an undeclared group is private to its source
    ],
)
async def test_a_definition_is_judged_together_with_the_jobs_in_force(job: dict[str, Any], problem: str) -> None:
    async with ApiClient(jobs=in_force()) as client:
        review = (await client.post_json(VALIDATE, {"name": "checkout", "check": CHECK, **job})).json()

    messages = " ".join(one["message"] for one in review["problems"])
    assert (review["valid"], problem in messages) == (not problem, True), messages


async def test_a_denied_target_and_a_missing_secret_are_reported() -> None:
    auth = {"kind": "bearer", "token": {"secret": "unknown-token"}}
    jobs = {"metadata": {"check": {"url": "http://169.254.169.254/"}}, "checkout": {"check": {**CHECK, "auth": auth}}}
    async with ApiClient(jobs=in_force()) as client:
        review = (await client.post_json(VALIDATE, {"jobs": jobs})).json()

    assert [one["job"] for one in review["denied_targets"]] == ["metadata"]
    (secret,) = review["unavailable_secrets"]
    assert secret["path"].startswith("jobs.checkout.check.auth")
    assert "secret unknown-token" in secret["message"]


async def test_the_next_instants_have_the_time_zone_of_the_schedule() -> None:
    schedule = {"cron": "0 30 2 * * *", "timezone": "Europe/Berlin"}
    async with ApiClient(jobs=[]) as client:
        job = {"name": "nightly", "check": CHECK, "schedule": schedule}
        found = await client.request("POST", NEXT, json=job, params={"count": 2, "from": "2026-03-28T12:00:00Z"})

    assert found.json() == {
        "job": "nightly",
        "enabled": True,
        "schedule": found.json()["schedule"],
        "timezone": "Europe/Berlin",
        "instants": [
            {"utc": "2026-03-29T01:30:00Z", "local": "2026-03-29T03:30:00+02:00"},
            {"utc": "2026-03-30T00:30:00Z", "local": "2026-03-30T02:30:00+02:00"},
        ],
    }


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"name": "a", "check": CHECK, "schedule": "61 * * * * *"}, "body.schedule"),
        ({"check": CHECK, "schedule": "every 5m"}, "body: is a job without a name; add its name"),
        ({"jobs": {"a": {"check": CHECK}, "b": {"check": CHECK}}}, "body: has 2 jobs, expected one"),
    ],
)
async def test_the_next_instants_of_an_invalid_definition_are_refused(document: Any, complaint: str) -> None:
    async with ApiClient(jobs=[]) as client:
        refused = await client.post_json(NEXT, document)

    assert refused.status_code == 422
    assert complaint in refused.json()["detail"]


async def test_the_schemas_are_served() -> None:
    async with ApiClient(jobs=[]) as client:
        assert (await client.get("/api/schema/job.json")).json()["$defs"]["HttpTarget"]
        assert (await client.get("/api/schema/jobs.json")).json()["title"] == "Jobs of the scheduler"


async def test_selected_jobs_are_exported_as_a_file_that_is_valid() -> None:
    async with ApiClient(jobs=in_force()) as client:
        exported = await client.get("/api/exports/jobs", name="da*")
        as_json = (await client.get("/api/exports/jobs", format="json")).json()
        review = (await post_yaml(client, VALIDATE, exported.text)).json()

    assert exported.headers["content-type"].startswith("application/yaml")
    assert "  # jobs.yaml:1\n  database:\n" in exported.text
    assert (review["valid"], [job["name"] for job in review["jobs"]]) == (True, ["database"])
    assert list(as_json["jobs"]) == ["cart", "database"]


async def test_other_tasks_run_after_each_job_of_an_exported_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_STEP", 0.0)
    written = list[tuple[int, int]]()
    write = definitions.minimal_definition

    def watched(job: JobDefinition) -> Any:
        written.append((threading.get_ident(), counted.number))
        return write(job)

    monkeypatch.setattr(definitions, "minimal_definition", watched)
    jobs = [entry(f"job-{number}") for number in range(20)]
    async with ApiClient(jobs=jobs) as client, counted_turns() as counted:
        exported = await client.get("/api/exports/jobs", format="json")
    assert len(exported.json()["jobs"]) == 20
    assert {thread for thread, _ in written} == {threading.get_ident()}
    assert len({number for _, number in written}) == 20


async def test_a_test_run_returns_its_attempts_and_leaves_no_trace_but_the_audit_entry() -> None:
    job = {"name": "database", "check": CHECK, "circuit": {"consecutive_failures": 1}, "retry": {"attempts": 1}}
    async with ApiClient(answer(503), jobs=in_force()) as client:
        run = (await client.post_json(TEST_RUN, job)).json()

        assert (await client.get("/api/runs")).json()["runs"] == []
        assert (await client.get(run["url"])).status_code == 404
        assert client.shop.heard.started == []
        assert client.shop.audit.actions == [("definition.test", "database")]

    assert (run["state"], run["outcome"], run["trigger"], run["attempt_count"]) == ("finished", "failed", "manual", 1)
    assert run["attempts"][0]["status_code"] == 503


async def test_a_test_run_is_recorded_before_it_starts() -> None:
    async with ApiClient(jobs=[]) as client:
        client.shop.audit.is_unavailable = True

        assert (await client.post_json(TEST_RUN, {"name": "a", "check": CHECK})).status_code == 503
        assert client.shop.check.calls == []


async def test_a_heartbeat_cannot_be_tested() -> None:
    check = {"kind": "heartbeat", "token": {"secret": "token"}, "period": "1h"}
    async with ApiClient(jobs=[]) as client:
        refused = await client.post_json(TEST_RUN, {"name": "a", "check": check})

    assert (refused.status_code, refused.json()["errors"][0]["location"]) == (422, "body.check")


async def test_a_test_run_is_stored_as_history_of_the_saved_job_on_request() -> None:
    async with ApiClient(answer(503), answer()) as client:
        job = {"name": "checkout", "check": CHECK, "retry": {"attempts": 1}}
        unstored = (await client.post_json(TEST_RUN, job)).json()
        stored = (await client.request("POST", TEST_RUN, json=job, params={"store": "true"})).json()

        listed = (await client.get("/api/runs", job="checkout")).json()["runs"]
        found = await client.get(stored["url"])
        missing = await client.get(unstored["url"])
        _, change = client.shop.audit.changes[-1]

    assert [run["id"] for run in listed] == [stored["id"]]
    assert (found.status_code, found.json()["trigger"], missing.status_code) == (200, "manual", 404)
    assert change.after == {"check": CHECK["url"], "stored": True}


async def test_a_test_run_is_not_stored_for_a_name_without_a_job() -> None:
    async with ApiClient(answer()) as client:
        reply = await client.request(
            "POST", TEST_RUN, json={"name": "checkuot", "check": CHECK}, params={"store": "true"}
        )

    assert reply.status_code == 404
    assert "did you mean checkout" in reply.json()["detail"].lower()
    assert client.shop.audit.changes == []
