"""GET /api/openapi.json describes what is there and what is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from scheduler.api.app import ROUTERS
from scheduler.api.health import HealthModel, LiveModel
from scheduler.api.problems import ProblemDetails
from scheduler.features.access.models import BrowserSessionList, CreatedKeyModel, KeyList, KeyModel, SessionModel
from scheduler.features.alerts.models import AlertExplanationModel, AlertListModel
from scheduler.features.audit.models import AuditHeadModel, AuditList
from scheduler.features.changes.models import ChangeListModel, CreatedMarkerModel, HealthEntryListModel, MarkerListModel
from scheduler.features.channels.models import (
    ChannelListModel,
    ChannelTestModel,
    RetriedModel,
    UndeliveredList,
)
from scheduler.features.circuits.models import CircuitList, CircuitModel
from scheduler.features.dead_letters.models import DeadLetterDetail, DeadLetterList, ReplayModel
from scheduler.features.health.routes import WatchdogModel
from scheduler.features.heartbeats.models import HeartbeatModel
from scheduler.features.incidents.bundle_models import IncidentBundle
from scheduler.features.incidents.models import (
    DecisionListModel,
    IncidentDetail,
    IncidentListModel,
    IncidentMemberListModel,
    IncidentSummary,
    TransitionListModel,
)
from scheduler.features.jobs.definition_routes import DefinitionReviewModel, DueInstantsModel
from scheduler.features.jobs.models import ActionReportModel, BackfillModel, JobDetail, JobList
from scheduler.features.objectives.models import ObjectiveList, ObjectiveModel, ObjectiveStatementModel
from scheduler.features.presets.models import PresetDetail, PresetList
from scheduler.features.runs.models import RunList, RunModel
from scheduler.features.secrets.models import SecretList, SecretModel
from scheduler.features.statistics.models import (
    ComparisonModel,
    DowntimeModel,
    JobStatsModel,
    SelectionStatsModel,
    SlowestModel,
    UptimeModel,
)
from scheduler.features.stored_jobs.models import (
    DeclaredJobList,
    DeclaredJobModel,
    SetList,
    SetPlanModel,
    VersionDiff,
    VersionList,
    VersionModel,
)
from scheduler.features.suppressions.models import (
    CreatedSilenceModel,
    CreatedWindowModel,
    SilenceListModel,
    SilenceModel,
    WindowListModel,
    WindowModel,
)
from scheduler.features.trends.models import LevelTrendModel
from tests.jobs.running.run_parts import REFUSED, answer
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

CREATING = (
    ("post", "/api/session"),
    ("post", "/api/jobs"),
    ("post", "/api/jobs/{name}/duplicate"),
    ("post", "/api/markers"),
    ("post", "/api/silences"),
    ("post", "/api/windows"),
)
ROUTES: dict[tuple[str, str], Any] = {
    ("get", "/api/audit"): AuditList,
    ("get", "/api/audit/export"): None,
    ("get", "/api/exports/changes"): None,
    ("get", "/api/exports/runs"): None,
    ("get", "/api/exports/stats"): None,
    ("get", "/api/metrics"): None,
    ("get", "/api/stats"): SelectionStatsModel,
    ("get", "/api/stats/slowest"): SlowestModel,
    ("get", "/api/stats/comparison"): ComparisonModel,
    ("get", "/api/jobs/{name}/stats"): JobStatsModel,
    ("get", "/api/jobs/{name}/trend"): LevelTrendModel,
    ("get", "/api/jobs/{name}/downtime"): DowntimeModel,
    ("get", "/api/objectives"): ObjectiveList,
    ("get", "/api/objectives/{name}"): ObjectiveModel,
    ("get", "/api/objectives/{name}/statement"): ObjectiveStatementModel,
    ("get", "/api/audit/head"): AuditHeadModel,
    ("get", "/api/alerts"): AlertListModel,
    ("get", "/api/channels"): ChannelListModel,
    ("post", "/api/channels/{channel}/test"): ChannelTestModel,
    ("get", "/api/channels/{channel}/undelivered"): UndeliveredList,
    ("post", "/api/channels/{channel}/undelivered/retry"): RetriedModel,
    ("delete", "/api/channels/{channel}/undelivered/{letter_id}"): None,
    ("get", "/api/incidents"): IncidentListModel,
    ("get", "/api/incidents/{incident_id}"): IncidentDetail,
    ("get", "/api/incidents/{incident_id}/bundle"): IncidentBundle,
    ("get", "/api/incidents/{incident_id}/decisions"): DecisionListModel,
    ("get", "/api/incidents/{incident_id}/members"): IncidentMemberListModel,
    ("get", "/api/incidents/{incident_id}/transitions"): TransitionListModel,
    ("post", "/api/incidents/{incident_id}/acknowledge"): IncidentSummary,
    ("post", "/api/incidents/{incident_id}/notes"): IncidentSummary,
    ("post", "/api/incidents/{incident_id}/resolve"): IncidentSummary,
    ("post", "/api/incidents/{incident_id}/snooze"): IncidentSummary,
    ("post", "/api/incidents/{incident_id}/unacknowledge"): IncidentSummary,
    ("get", "/api/silences"): SilenceListModel,
    ("post", "/api/silences"): CreatedSilenceModel,
    ("get", "/api/silences/{silence_id}"): SilenceModel,
    ("delete", "/api/silences/{silence_id}"): None,
    ("post", "/api/silences/{silence_id}/end"): SilenceModel,
    ("get", "/api/windows"): WindowListModel,
    ("post", "/api/windows"): CreatedWindowModel,
    ("get", "/api/windows/{window_id}"): WindowModel,
    ("delete", "/api/windows/{window_id}"): None,
    ("post", "/api/windows/{window_id}/end"): WindowModel,
    ("get", "/api/changes"): ChangeListModel,
    ("get", "/api/markers"): MarkerListModel,
    ("post", "/api/markers"): CreatedMarkerModel,
    ("get", "/api/jobs/{name}/changes"): ChangeListModel,
    ("get", "/api/jobs/{name}/health-entries"): HealthEntryListModel,
    ("get", "/api/jobs/{name}/alert-explanation"): AlertExplanationModel,
    ("get", "/api/circuits"): CircuitList,
    ("get", "/api/circuits/{key}"): CircuitModel,
    ("post", "/api/circuits/{key}/close"): CircuitModel,
    ("post", "/api/circuits/{key}/open"): CircuitModel,
    ("post", "/api/circuits/{key}/reset"): CircuitModel,
    ("get", "/api/dead-letters"): DeadLetterList,
    ("get", "/api/dead-letters/{letter_id}"): DeadLetterDetail,
    ("delete", "/api/dead-letters/{letter_id}"): None,
    ("post", "/api/dead-letters/{letter_id}/replay"): RunModel,
    ("post", "/api/dead-letters/replay"): ReplayModel,
    ("get", "/api/exports/jobs"): None,
    ("post", "/api/definitions/next"): DueInstantsModel,
    ("post", "/api/definitions/test-run"): RunModel,
    ("post", "/api/definitions/validate"): DefinitionReviewModel,
    ("get", "/api/health"): HealthModel,
    ("get", "/api/health/live"): LiveModel,
    ("get", "/api/health/ready"): HealthModel,
    ("post", "/api/jobs/pause"): ActionReportModel,
    ("post", "/api/jobs/reset-circuit"): ActionReportModel,
    ("post", "/api/jobs/resume"): ActionReportModel,
    ("post", "/api/jobs/run"): ActionReportModel,
    ("get", "/api/jobs"): JobList | DeclaredJobList,
    ("post", "/api/jobs"): JobDetail,
    ("get", "/api/jobs/{name}"): JobDetail | DeclaredJobModel,
    ("put", "/api/jobs/{name}"): JobDetail,
    ("patch", "/api/jobs/{name}"): JobDetail,
    ("delete", "/api/jobs/{name}"): None,
    ("get", "/api/jobs/{name}/versions"): VersionList,
    ("get", "/api/jobs/{name}/versions/{number}"): VersionModel,
    ("get", "/api/jobs/{name}/versions/{number}/diff"): VersionDiff,
    ("post", "/api/jobs/{name}/versions/{number}/restore"): JobDetail,
    ("post", "/api/jobs/{name}/duplicate"): JobDetail,
    ("post", "/api/jobs/delete"): ActionReportModel,
    ("get", "/api/sets"): SetList,
    ("post", "/api/sets/{owner}/apply"): SetPlanModel,
    ("post", "/api/sets/{owner}/plan"): SetPlanModel,
    ("post", "/api/jobs/{name}/backfill"): BackfillModel,
    ("post", "/api/jobs/{name}/pause"): JobDetail,
    ("post", "/api/jobs/{name}/resume"): JobDetail,
    ("post", "/api/jobs/{name}/run"): RunModel,
    ("get", "/api/jobs/{name}/heartbeat"): HeartbeatModel,
    ("get", "/api/jobs/{name}/uptime"): UptimeModel,
    ("get", "/api/sessions"): BrowserSessionList,
    ("delete", "/api/sessions/{session_id}"): None,
    ("get", "/api/keys"): KeyList,
    ("post", "/api/keys"): CreatedKeyModel,
    ("get", "/api/keys/{key_id}"): KeyModel,
    ("delete", "/api/keys/{key_id}"): None,
    ("post", "/api/keys/{key_id}/rotate"): CreatedKeyModel,
    ("get", "/api/ping/{token}"): None,
    ("post", "/api/ping/{token}"): None,
    ("get", "/api/ping/{token}/{result}"): None,
    ("post", "/api/ping/{token}/{result}"): None,
    ("get", "/api/runs"): RunList,
    ("get", "/api/runs/{run_id}"): RunModel,
    ("post", "/api/runs/{run_id}/cancel"): RunModel,
    ("delete", "/api/session"): None,
    ("get", "/api/session"): SessionModel,
    ("post", "/api/session"): SessionModel,
    ("get", "/api/schema/job.json"): None,
    ("get", "/api/schema/jobs.json"): None,
    ("get", "/api/presets"): PresetList,
    ("get", "/api/presets/{name}"): PresetDetail,
    ("get", "/api/secrets"): SecretList,
    ("post", "/api/secrets/{name}/refresh"): SecretModel,
    ("get", "/api/status"): HealthModel,
    ("get", "/api/watchdog"): WatchdogModel,
}


RESERVED = {f"#/components/headers/{name}" for name in ("Allow", "ETag", "Location")} | {
    f"#/components/responses/{name}" for name in ("PreconditionFailed", "PreconditionRequired")
}
"""What no operation uses yet."""


async def _description() -> dict[str, Any]:
    async with ApiClient() as client:
        described: dict[str, Any] = (await client.get("/api/openapi.json")).json()
    return described


async def test_it_describes_every_route_and_no_other() -> None:
    paths = (await _description())["paths"]

    assert {(method, path) for path, methods in paths.items() for method in methods} == set(ROUTES)


async def test_every_route_has_a_summary_an_answer_and_problems() -> None:
    described = await _description()

    for (method, path), model in ROUTES.items():
        operation = described["paths"][path][method]
        assert operation["description"]
        assert operation["tags"]
        good = operation["responses"][
            "201"
            if model is CreatedKeyModel or (method, path) in CREATING
            else "202"
            if path.endswith(("/run", "/replay", "/backfill"))
            else "200"
            if model or path.startswith(("/api/ping/", "/api/schema/", "/api/audit/", "/api/exports/", "/api/metrics"))
            else "204"
        ]
        if model is not None:
            references = [{"$ref": f"#/components/schemas/{one.__name__}"} for one in get_args(model) or (model,)]
            schema = good["content"]["application/json"]["schema"]
            assert [schema] == references or schema["anyOf"] == references
            if len(references) == 1:
                example = {"example": {"$ref": f"#/components/examples/{model.__name__}"}}
                assert good["content"]["application/json"]["examples"] == example
        assert operation["responses"]["400"] == {"$ref": "#/components/responses/BadRequest"}
        assert operation["responses"]["500"] == {"$ref": "#/components/responses/InternalServerError"}


async def test_it_carries_the_version_of_the_program() -> None:
    described = await _description()

    assert described["openapi"].startswith("3.1")
    assert described["info"]["version"] == "1.2.3"


async def test_every_reference_leads_somewhere() -> None:
    described = await _description()

    for reference in _references(described):
        found: Any = described
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    assert "#/components/schemas/ProblemDetails" in set(_references(described))


async def test_every_component_is_used() -> None:
    described = await _description()

    used = set(_references(described)) | {
        f"#/components/securitySchemes/{name}"
        for methods in described["paths"].values()
        for operation in methods.values()
        for alternative in operation["security"]
        for name in alternative
    }
    unused = {f"#/components/{kind}/{name}" for kind, named in described["components"].items() for name in named} - used
    assert unused - RESERVED == set()


async def test_every_example_is_one_of_its_model() -> None:
    described = await _description()
    values = {name: example["value"] for name, example in described["components"]["examples"].items()}

    models = {model.__name__: model for model in _models()}
    found = [(models[name], value) for name, value in values.items()]

    assert len(found) >= 30
    for model, value in found:
        assert json.loads(model.model_validate_json(json.dumps(value)).model_dump_json(by_alias=True)) is not None
        assert set(value) <= set(model.model_json_schema(by_alias=True)["properties"])


def _models() -> set[type[BaseModel]]:
    """The models of all bodies, of requests and answers."""
    found: set[type[BaseModel]] = set()
    for route in (route for router in ROUTERS for route in router.build_routes() if isinstance(route, APIRoute)):
        fields = [route.body_field, route.response_field, *route.response_fields.values()]
        for field in (each for each in fields if route.include_in_schema and each is not None):
            kinds = get_args(field.field_info.annotation) or (field.field_info.annotation,)
            found |= {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)}
    return found


async def test_every_operation_has_an_id_a_tag_with_a_description_and_a_summary() -> None:
    described = await _description()

    operations = [operation for methods in described["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    tags = {tag["name"]: tag["description"] for tag in described["tags"]}
    for operation in operations:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"])
        assert operation["summary"]
        assert operation["description"]
        assert [bool(tags[tag]) for tag in operation["tags"]] == [True]


async def test_every_path_parameter_has_a_description_and_an_example() -> None:
    paths = (await _description())["paths"]

    for parameter in (
        each for methods in paths.values() for one in methods.values() for each in one.get("parameters", ())
    ):
        assert parameter["description"], parameter
        assert parameter["in"] != "path" or parameter["schema"]["examples"], parameter


async def test_an_operation_names_the_problems_it_can_answer_with() -> None:
    paths = (await _description())["paths"]

    def statuses(method: str, path: str) -> str:
        return " ".join(status for status in paths[path][method]["responses"] if status >= "4")

    assert statuses("get", "/api/health/live") == "400 500"
    assert statuses("get", "/api/jobs/{name}") == "400 401 403 404 429 500 503"
    assert statuses("post", "/api/runs/{run_id}/cancel") == "400 401 403 404 409 413 414 415 429 500 503"
    assert statuses("post", "/api/jobs/{name}/pause") == "400 401 403 404 413 415 422 429 500 503"
    assert statuses("get", "/api/ping/{token}") == "400 404 414 429 500 503"


async def test_an_operation_requires_a_credential_with_its_scope() -> None:
    paths = (await _description())["paths"]

    assert paths["/api/health"]["get"]["security"] == []
    assert paths["/api/ping/{token}"]["post"]["security"] == []
    cancel = paths["/api/runs/{run_id}/cancel"]["post"]["security"]
    assert {"functionKey": ["operate"]} in cancel
    assert {"entra": ["operate"]} in cancel


async def test_a_run_links_to_what_can_be_done_with_it() -> None:
    paths = (await _description())["paths"]

    links = paths["/api/jobs/{name}/run"]["post"]["responses"]["202"]["links"]
    assert links["get_run"] == {"operationId": "get_run", "parameters": {"run_id": "$response.body#/id"}}
    assert set(links) == {"get_run", "cancel_run"}


async def test_the_outcomes_to_filter_by_are_listed() -> None:
    parameters = (await _description())["paths"]["/api/runs"]["get"]["parameters"]

    (outcome,) = (one for one in parameters if one["name"] == "outcome")
    assert "timed_out" in outcome["schema"]["enum"]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@pytest.mark.parametrize(
    ("address", "model"),
    [
        ("/api/dead-letters", DeadLetterList),
        ("/api/health", HealthModel),
        ("/api/health/live", LiveModel),
        ("/api/jobs", JobList),
        ("/api/jobs/checkout", JobDetail),
        ("/api/jobs/checkout/downtime", DowntimeModel),
        ("/api/jobs/checkout/uptime", UptimeModel),
        ("/api/jobs/checkout/stats", JobStatsModel),
        ("/api/stats?tag=team", SelectionStatsModel),
        ("/api/stats/slowest?by=host", SlowestModel),
        ("/api/stats/comparison?tag=team&preset=week", ComparisonModel),
        ("/api/runs", RunList),
        ("/api/status", HealthModel),
        ("/api/watchdog", WatchdogModel),
        ("/api/runs?limit=0", ProblemDetails),
        ("/api/jobs/chekout", ProblemDetails),
        ("/api/nothing", ProblemDetails),
    ],
)
async def test_what_is_sent_is_the_model_that_is_described(address: str, model: type[BaseModel]) -> None:
    jobs = [entry(retry={"attempts": 2, "initial": "1ms"}), entry("other", schedule=None)]
    async with ApiClient(REFUSED, answer(500), answer(), jobs=jobs) as client:
        await client.perform()
        await client.enqueue(seconds=60)
        sent = await client.get(address)

    _holds(sent, model)


def _holds(sent: httpx.Response, model: type[BaseModel]) -> None:
    """Nothing more and nothing less than the model: it reads what was sent and writes the same again."""
    read = model.model_validate_json(sent.content)
    assert read.model_dump(mode="json", exclude_none=model is ProblemDetails) == sent.json()
