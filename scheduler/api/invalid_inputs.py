"""Describes the parts of a request that do not follow the OpenAPI document. Called by scheduler.api.problems.

FastAPI reports where a value is wrong. The texts also need the type that is expected there, such as the keys of a body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute

from jobs.definition import NAME_PATTERN, JobDefinition
from jobs.problems import Finding, KeyPath, validation_findings

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi._compat import ModelField
    from fastapi.dependencies.models import Dependant

_BODY = ("body",)
_NAME_FORM = JobDefinition.model_fields["name"].description or ""


def find_invalid_inputs(request: Request, errors: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield what is wrong with each part of the request, by the errors of FastAPI."""
    route = request.scope.get("route")
    fields = _list_fields(route) if isinstance(route, APIRoute) else {}
    for error in errors:
        if error["loc"][:1] != _BODY:
            yield from _describe([error], error["loc"][:2], fields)
    yield from _describe([error for error in errors if error["loc"][:1] == _BODY], _BODY, fields)


def _describe(
    errors: Sequence[Mapping[str, Any]],
    start: KeyPath,
    fields: Mapping[KeyPath, ModelField],
) -> Iterator[Finding]:
    """Yield the findings of errors below `start`, a parameter or the body."""
    field = fields.get(start)
    expected = Any if field is None else field.field_info.annotation
    inner: Any = [{**error, "loc": error["loc"][len(start) :]} for error in errors]
    for finding in validation_findings(inner, expected):
        hint = finding.hint
        if field is not None and start != _BODY and errors[0]["type"] == "string_pattern_mismatch":
            is_name = errors[0]["ctx"]["pattern"] == NAME_PATTERN
            hint = _NAME_FORM if is_name else _lower_first(field.field_info.description or "") or hint
        yield Finding((*start, *finding.path), finding.message, hint)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _list_fields(route: APIRoute) -> dict[KeyPath, ModelField]:
    """Return the parameters of a route, and its body, by the start of their locations."""
    fields: dict[KeyPath, ModelField] = {
        (place, field.alias): field for place, field in _walk_parameters(route.dependant)
    }
    return fields if route.body_field is None else {**fields, _BODY: route.body_field}


def _walk_parameters(dependant: Dependant) -> Iterator[tuple[str, ModelField]]:
    for place in ("path", "query", "header"):
        yield from ((place, field) for field in getattr(dependant, f"{place}_params"))
    for each in dependant.dependencies:
        yield from _walk_parameters(each)
