"""Creates the OpenAPI document. Called by scheduler.api.app at the first request for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from scheduler.api.description.examples import ExampleBuilder
from scheduler.api.description.headers import HEADERS, describe_headers
from scheduler.api.description.links import add_links
from scheduler.api.description.problem_responses import describe_problem_responses, problem_components
from scheduler.api.description.security import SECURITY_SCHEMES, security_of
from scheduler.api.description.tags import describe_tags
from scheduler.api.models.base import EXAMPLE_VALUES
from scheduler.api.problems import ProblemDetails
from scheduler.api.routing import SCOPE
from scheduler.api.scopes import Scope

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
    operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
    operation["security"] = security_of(scope, is_open=is_open)
    describe_problem_responses(operation, scope)
    describe_headers(operation, scope)
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
