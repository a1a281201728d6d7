"""The OpenAPI description at /api/openapi.json, and the page at /api/docs, which renders all operations of it.

The page needs no script, and no file of another host: the Content-Security-Policy allows neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.description.examples import RequestExample, content_example, request_examples
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.connections.problem_responses import reason_phrase

if TYPE_CHECKING:
    from markupsafe import Markup

document_router = ApiRouter(in_schema=False, by_tag=True)


@document_router.read("/api/openapi.json")
async def get_openapi(request: Request) -> JSONResponse:
    """Return the OpenAPI description of all routes."""
    description: dict[str, Any] = request.app.openapi()
    return JSONResponse(description)


router = ApiRouter(in_schema=False, by_tag=True)


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A parameter. `form`: its type and limits."""

    name: str
    place: str
    is_required: bool
    form: str
    description: Markup


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """A response. `example`: its body as indented JSON; empty for a problem, which all have the same form.

    `is_common`: many operations have it, and the page describes it once.
    """

    status: str
    description: Markup
    headers: Sequence[str]
    example: str
    is_common: bool


@dataclass(frozen=True, slots=True)
class OperationSection:
    """An operation. `paragraphs`: its description. `body`: the example of its body, empty without one."""

    request: RequestExample
    summary: str
    paragraphs: Sequence[Markup]
    parameters: Sequence[ParameterRow]
    body: str
    responses: Sequence[ResponseRow]


@dataclass(frozen=True, slots=True)
class TagSection:
    name: str
    description: Markup
    operations: Sequence[OperationSection]


@router.read("/api/docs")
async def show_reference(request: Request, services: ServicesDep) -> Response:
    """Show the page."""
    document: dict[str, Any] = request.app.openapi()
    sections = list(read_sections(document))
    responses = (each for section in sections for operation in section.operations for each in operation.responses)
    common = {(each.status, each.description): each for each in responses if each.is_common}
    return await respond(
        request,
        services,
        "reference.html",
        page="reference",
        about=_paragraphs(document["info"]["description"]),
        schemes=[(name, each, _code(each["description"])) for name, each in _security_schemes(document)],
        common=sorted(common.values(), key=lambda each: (each.status, each.description)),
        sections=sections,
    )


def read_sections(document: dict[str, Any]) -> Iterator[TagSection]:
    """Yield the operations of the document by tag, in the order of the tags."""
    requests = {each.operation_id: each for each in request_examples(document)}
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    for tag in document["tags"]:
        yield TagSection(
            tag["name"],
            _code(tag["description"]),
            [
                _read_operation(document, operation, requests[operation["operationId"]])
                for operation in operations
                if tag["name"] in operation["tags"]
            ],
        )


def _read_operation(document: dict[str, Any], operation: dict[str, Any], request: RequestExample) -> OperationSection:
    return OperationSection(
        request=request,
        summary=operation["summary"],
        paragraphs=_paragraphs(operation["description"]),
        parameters=[
            ParameterRow(
                each["name"],
                each["in"],
                each.get("required", False),
                describe_form(each["schema"]),
                _code(each.get("description", "")),
            )
            for each in operation.get("parameters", ())
        ],
        body="" if request.body is None else _indented(request.body),
        responses=[
            _read_response(document, operation["operationId"], *each) for each in operation["responses"].items()
        ],
    )


def _read_response(document: dict[str, Any], owner: str, status: str, response: dict[str, Any]) -> ResponseRow:
    reference = response.get("$ref", "").rpartition("/")[2]
    full = document["components"]["responses"][reference] if reference else response
    content = full.get("content", {}).get("application/json", {})
    example = _indented(content_example(document, content, owner)) if {"example", "examples"} & set(content) else ""
    phrase = reason_phrase(HTTPStatus(int(status)))
    described = full["description"] if full["description"] != "Successful Response" else phrase
    return ResponseRow(status, _code(described), list(full.get("headers", ())), example, bool(reference))


def describe_form(schema: Mapping[str, Any]) -> str:
    """Return the type of a parameter and its limits: `integer, 1 to 500`."""
    variants = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    form = {**(variants[0] if variants else {}), **{key: schema[key] for key in ("enum", "pattern") if key in schema}}
    kind = form.get("type", "string")
    words = [next(each for each in kind if each != "null") if isinstance(kind, list) else kind]
    if kind == "array":
        inner = form.get("items", {})
        words, form = [f"{inner.get('type', 'string')}, repeatable"], inner
    if "enum" in form:
        words.append(" | ".join(map(str, form["enum"])))
    if "minimum" in form and "maximum" in form:
        words.append(f"{form['minimum']} to {form['maximum']}")
    if "default" in schema and schema["default"] not in ("", []):
        words.append(f"default {schema['default']}")
    return ", ".join(words)


def _security_schemes(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for scheme in document["components"]["securitySchemes"].values():
        form = scheme.get("bearerFormat")
        yield (f"Authorization: Bearer {form}" if form else f"{scheme['name']} ({scheme['in']})"), scheme


def _paragraphs(text: str) -> list[Markup]:
    return [_code(each) for each in text.split("\n\n")]


def _code(text: str) -> Markup:
    """Escape a text, and mark what is within backticks as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
