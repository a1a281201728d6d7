"""Creates the OpenAPI document at the first request for it: security, links, tags and problems of the operations.

A link leads from a response to the operations on what it contains: a client finds the next request by them, and tests
follow them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from scheduler.api.description.examples import ExampleBuilder
from scheduler.api.description.headers import HEADERS, describe_headers, response_headers
from scheduler.api.problems import MEDIA_TYPE, InvalidInput, ProblemDetails
from scheduler.api.routing import PROBLEMS, SCOPE
from scheduler.api.scopes import Scope
from scheduler.connections.problem_responses import reason_phrase
from scheduler.model_base import EXAMPLE_VALUES


class ProblemResponse(NamedTuple):
    """`detail`, `errors`: of the example."""

    description: str
    detail: str
    errors: Sequence[InvalidInput] = ()
    headers: tuple[str, ...] = ()


PROBLEM_RESPONSES: Final[dict[int, ProblemResponse]] = {
    400: ProblemResponse(
        "The request does not follow this document. `errors` lists each invalid part",
        "query.limit: must be at least 1, found 0",
        [InvalidInput(location="query.limit", message="must be at least 1, found 0")],
    ),
    401: ProblemResponse(
        "The request has no valid credential", "A credential is required.", headers=("WWW-Authenticate",)
    ),
    403: ProblemResponse(
        "The credential does not allow this operation, or a page of another site sent the request",
        "This operation requires the role operator.",
    ),
    404: ProblemResponse(
        "The object does not exist, or does not exist for this credential",
        "There is no job named 'chekout-api'. Did you mean checkout-api? GET /api/jobs lists the jobs.",
    ),
    409: ProblemResponse(
        "The state of the object does not allow the operation",
        "Run checkout-api@20261128T090000.000Z is already finished: succeeded.",
    ),
    412: ProblemResponse("`If-Match` is not the current ETag", "The object was changed meanwhile: read it again."),
    413: ProblemResponse("The body is too large", "The body is too large: at most 65536 bytes are allowed."),
    414: ProblemResponse(
        "The path and the query are too long",
        "The URL of the request is too long: at most 8192 bytes of path and query.",
    ),
    415: ProblemResponse(
        "The media type of the body is not supported",
        "The media type text/plain is not supported: use application/json.",
    ),
    422: ProblemResponse(
        "The request follows this document, but a value cannot be used. `errors` lists each of them",
        "body.until: 2020-01-01 00:00:00Z is in the past: it is 2026-11-28 09:00:00Z",
        [
            InvalidInput(
                location="body.until", message="2020-01-01 00:00:00Z is in the past: it is 2026-11-28 09:00:00Z"
            )
        ],
    ),
    428: ProblemResponse("`If-Match` is missing", "Send the ETag of the version that you change as If-Match."),
    429: ProblemResponse(
        "Too many requests",
        "Too many requests: 60 per minute are allowed. Retry after 41 s.",
        headers=("Retry-After", "RateLimit", "RateLimit-Policy"),
    ),
    500: ProblemResponse(
        "The scheduler has an error, which its log describes",
        "An unexpected error occurred. The log contains its cause.",
    ),
    503: ProblemResponse(
        "The store, the queue or another part is unavailable",
        "The store does not respond: it is locked by another process.",
        headers=("Retry-After",),
    ),
}
"""Every problem by its status."""

_UNPROCESSABLE_PARAMETERS = frozenset({"at", "from", "to", "continuation", "zone"})
"""Query parameters with rules that JSON Schema cannot express."""


def problem_components() -> dict[str, dict[str, Any]]:
    """Return the responses for `components`."""
    return {_component_name(status): _describe(status, problem) for status, problem in PROBLEM_RESPONSES.items()}


def describe_problem_responses(operation: dict[str, Any], scope: Scope) -> None:
    """Replace FastAPI's 422 of the operation, and add a reference for each problem that it can respond with."""
    responses = operation["responses"]
    responses.pop("422", None)
    added = {HTTPStatus(status) for status in operation.pop(PROBLEMS, ())}
    for status in sorted(added | set(_derived_statuses(operation, scope))):
        responses.setdefault(str(int(status)), {"$ref": f"#/components/responses/{_component_name(status)}"})
    operation["responses"] = dict(sorted(responses.items()))


def _derived_statuses(operation: dict[str, Any], scope: Scope) -> Iterator[int]:
    parameters = operation.get("parameters", ())
    named = {(each["in"], each["name"].lower()) for each in parameters}
    places, queries = {place for place, _ in named}, {name for place, name in named if place == "query"}
    yield from (400, 500)
    if scope is not Scope.PUBLIC:
        yield from (429, 503)
    if scope not in (Scope.PUBLIC, Scope.PING):
        yield from (401, 403)
    if "path" in places or "job" in queries:
        yield 404
    if queries:
        yield 414
    if "requestBody" in operation or queries & _UNPROCESSABLE_PARAMETERS:
        yield 422
    if scope in (Scope.OPERATE, Scope.MANAGE, Scope.SIGN_IN):
        yield from (413, 415)
    if ("header", "if-match") in named:
        yield from (412, 422, 428)
    if ("header", "idempotency-key") in named:
        yield from (409, 422)


def _describe(status: int, problem: ProblemResponse) -> dict[str, Any]:
    example = ProblemDetails(
        title=reason_phrase(status),
        status=status,
        detail=problem.detail,
        instance="/api/jobs",
        errors=list(problem.errors) or None,
    )
    content = {
        "schema": {"$ref": "#/components/schemas/ProblemDetails"},
        "example": example.model_dump(exclude_none=True),
    }
    return {
        "description": problem.description,
        "content": {MEDIA_TYPE: content},
        "headers": response_headers(*problem.headers, "X-Request-ID"),
    }


def _component_name(status: int) -> str:
    return reason_phrase(status).replace(" ", "")


LINKED_FIELDS: Final = {
    "RunModel": ("run_id", "id"),
    "RunList": ("run_id", "runs/0/id"),
    "BackfillModel": ("run_id", "runs/0/id"),
    "JobList": ("name", "jobs/0/name"),
    "JobDetail": ("name", "name"),
    "CircuitList": ("key", "circuits/0/key"),
    "CircuitModel": ("key", "key"),
    "DeadLetterList": ("letter_id", "dead_letters/0/id"),
    "DeadLetterDetail": ("letter_id", "id"),
    "IncidentListModel": ("incident_id", "incidents/0/id"),
    "IncidentDetail": ("incident_id", "id"),
    "SilenceListModel": ("silence_id", "silences/0/id"),
    "SilenceModel": ("silence_id", "id"),
    "CreatedSilenceModel": ("silence_id", "id"),
    "CreatedWindowModel": ("window_id", "id"),
    "ChannelListModel": ("channel", "channels/0/name"),
}
"""Model of a response: the path parameter that a field of it fills, and that field."""

_OTHER_NAMES = ("/api/secrets/",)
"""Prefixes of paths whose parameter `name` is not that of a job."""


def add_links(document: dict[str, Any]) -> None:
    """Add the links of each response whose model has a linked field."""
    targets = list(_linkable_operations(document))
    for methods in document["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                for field in (LINKED_FIELDS[name] for name in _models_of(response) if name in LINKED_FIELDS):
                    _link(response, field, targets, operation["operationId"])


def _link(response: dict[str, Any], field: tuple[str, str], targets: list[tuple[str, str]], own_id: str) -> None:
    parameter, pointer = field
    links = {
        operation_id: {"operationId": operation_id, "parameters": {parameter: f"$response.body#/{pointer}"}}
        for name, operation_id in targets
        if name == parameter and operation_id != own_id
    }
    if links:
        response["links"] = links


def _linkable_operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the operations with one path parameter: its name and the operation's id."""
    operations = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
            if len(names) == 1 and not path.startswith(_OTHER_NAMES):
                operations.append((names[0], operation["operationId"]))
    return operations


def _models_of(response: dict[str, Any]) -> list[str]:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return [str(each["$ref"]).rpartition("/")[2] for each in (schema, *schema.get("anyOf", ())) if "$ref" in each]


SECURITY_SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "functionKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "A key of the Functions host, which has one for each scope.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "sch_...",
        "description": "An API key of the scheduler. It has a role and can be limited to tags and addresses.",
    },
    "apiKeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same API key, for clients that cannot set `Authorization`.",
    },
    "entra": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of Microsoft Entra ID. An app role of the token is the role.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "scheduler_session",
        "description": "The session of a browser that has signed in.",
    },
}


def security_of(scope: Scope, function: Scope, *, is_open: bool) -> list[dict[str, list[str]]]:
    """Return the alternatives that an operation accepts. Empty: none is required; a ping has its token in the path.

    `function`: the scope of the HTTP function that serves it. `is_open`: the host serves only clients on loopback, and
    accepts requests without a credential as well.
    """
    if scope in (Scope.PUBLIC, Scope.PING, Scope.SIGN_IN):
        return []
    keys = {"functionKey": function}
    alternatives = [{name: [keys.get(name, scope).value]} for name in SECURITY_SCHEMES]
    return [*alternatives, {}] if is_open else alternatives


TAGS: Final = {
    "jobs": "What is checked, when, and what to expect. Run a job now, pause it, run missed instants.",
    "definitions": "Definitions that are not saved: validation and due instants. JSON schemas for editors.",
    "sets": "Desired sets of stored jobs: plan the changes, then apply them together.",
    "runs": "Executions of jobs with their attempts. Cancel one that has not finished.",
    "stats": "Counts, success rates and response times of runs, also of deleted ones. Export runs and statistics.",
    "objectives": "Error budgets of objectives, burn rates, and monthly statements.",
    "changes": "Instants at which jobs became up, degraded, down, silent, waiting or paused, with the cause.",
    "markers": "Deployments that the charts of jobs mark, of pipelines and of the scheduler itself.",
    "incidents": "What is wrong and who handles it: incidents and their alerts. Acknowledge, snooze or resolve one.",
    "silences": "Notifications that are held back by users, for some alerts and a time.",
    "windows": "Maintenance windows of job files, and those that users and pipelines start.",
    "channels": "Where notifications are sent, and what could not be delivered.",
    "circuits": "Circuit breakers: rejections of runs while a target is down. Open, close or reset one.",
    "dead letters": "Runs and messages that failed permanently. Replay or discard them.",
    "heartbeats": "Checks that expect pings from a program: their state, and the routes that receive pings.",
    "presets": "Checks that jobs are made of by name, and the job that each makes.",
    "secrets": "The secrets that jobs use, without values. Read one again after a change.",
    "audit": "The audit trail: who changed what, when and from where, as a chain of hashes.",
    "keys": "API keys: credentials of programs, each with a role. Create, rotate or revoke one.",
    "session": "The session of a browser, and who the caller is.",
    "metrics": "The page that Prometheus scrapes.",
    "health": "The health of the scheduler itself.",
}


def describe_tags(document: dict[str, Any]) -> list[dict[str, str]]:
    """Return the tags that operations use. Raises ValueError for one without a description."""
    used = {tag for methods in document["paths"].values() for each in methods.values() for tag in each.get("tags", ())}
    if unknown := used - set(TAGS):
        raise ValueError(f"tags without a description in {__name__}: {', '.join(sorted(unknown))}")
    return [{"name": name, "description": text} for name, text in TAGS.items() if name in used]


ABOUT = """Scheduled jobs and health checks: what runs, when, and how it went.

Each operation requires the scope in `x-scope`: the role metrics has `metrics`, a viewer also `read`, an operator also
`operate`, an admin also `manage`.
Instants are ISO 8601 in UTC; fields that end in `_ms` are milliseconds. A list returns `continuation`, which fetches
the next page until it is null. Errors are problem details (RFC 9457). After 429 and 503, retry when `Retry-After` has
passed.

Every POST accepts the header `Idempotency-Key` (1 to 255 printable ASCII characters, such as a UUID). A repeat with the
same key and body within 24 hours gets the first response, with `Idempotent-Replayed: true`; with another body, 422."""

_FASTAPI_SCHEMAS = ("HTTPValidationError", "ValidationError")


def create_document(api: FastAPI, *, is_open: bool = False) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these routes. `is_open`: no credential is required."""
    document = get_openapi(title=api.title, version=api.version, description=ABOUT, routes=api.routes)
    _, problem_schemas = models_json_schema(
        [(ProblemDetails, "serialization")], ref_template="#/components/schemas/{model}"
    )
    components = document["components"]
    schemas = {
        name: schema
        for name, schema in (components["schemas"] | problem_schemas["$defs"]).items()
        if name not in _FASTAPI_SCHEMAS
    }
    builder = ExampleBuilder(schemas)
    for operation in operations_of(document):
        _complete(operation, builder, is_open)
    for schema in schemas.values():
        schema.pop(EXAMPLE_VALUES, None)
    add_links(document)
    document["tags"] = describe_tags(document)
    document["components"] = {
        "schemas": schemas,
        "responses": problem_components(),
        "examples": builder.components,
        "headers": HEADERS,
        "securitySchemes": SECURITY_SCHEMES,
    }
    return document


def operations_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _complete(operation: dict[str, Any], builder: ExampleBuilder, is_open: bool) -> None:
    scope = Scope(operation[SCOPE])
    # A POST that judges its body has the function, the problems and the headers of one that acts.
    served_as = Scope.OPERATE if scope is Scope.READ and "requestBody" in operation else scope
    operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
    operation["security"] = security_of(scope, served_as, is_open=is_open)
    describe_problem_responses(operation, served_as)
    describe_headers(operation, served_as)
    for parameter in operation.get("parameters", ()):
        _remove_null(parameter["schema"])
        builder.add_parameter_example(parameter)
    contents = [operation.get("requestBody", {}), *operation["responses"].values()]
    for media_type, content in (each for holder in contents for each in holder.get("content", {}).items()):
        if media_type.endswith("yaml") and content.get("schema") == {"type": "string"}:
            content["schema"] = {}  # what the text contains, not the text
        builder.add_example(content)


def _remove_null(schema: dict[str, Any]) -> None:
    """Replace `X or null` by X: a parameter can be absent, but not null."""
    variants = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(variants) == 1:
        del schema["anyOf"]
        schema |= variants[0] | {key: schema[key] for key in ("enum", "pattern") if key in schema}
