"""Checks documents by the models of Datadog's client. Called by observability.generation.datadog.api before a write.

A wrong enumeration does not raise in these models: the object is marked, and so are those around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from observability.generation.core.document import Json
from observability.generation.datadog.documents import DASHBOARD, MONITOR, OBJECTIVE

_MODELS = {
    DASHBOARD: ("datadog_api_client.v1.model.dashboard", "Dashboard"),
    MONITOR: ("datadog_api_client.v1.model.monitor", "Monitor"),
    OBJECTIVE: (
        "datadog_api_client.v1.model.service_level_objective_request",
        "ServiceLevelObjectiveRequest",
    ),
}
"""Module and class of each kind. Full names: the image has only the models that the program imports or names."""


def find_invalid_parts(kind: str, value: Json) -> list[str]:
    """Return what Datadog's model of this kind does not accept, with its place; empty for a valid document."""
    from datadog_api_client.configuration import Configuration
    from datadog_api_client.exceptions import ApiTypeError, ApiValueError
    from datadog_api_client.model_utils import validate_and_convert_types

    module, name = _MODELS[kind]
    model = getattr(import_module(module), name)
    convert: Any = validate_and_convert_types  # it has no types
    make_configuration: Any = Configuration
    try:
        read = convert(
            value, (model,), ["document"], True, True, configuration=make_configuration(spec_property_naming=True)
        )
    except (ApiTypeError, ApiValueError, TypeError, ValueError) as error:
        return [str(error)]
    return list(_find_marks(read, kind))


def _find_marks(value: Any, place: str) -> Iterator[str]:
    """Yield the deepest objects that could not be read, and keys that a model does not know."""
    from datadog_api_client.model_utils import ModelNormal, OpenApiModel, UnparsedObject

    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _find_marks(item, f"{place}[{number}]")
        return
    if not isinstance(value, OpenApiModel):
        return
    parts = value.__dict__.get("_data_store", {})
    inner = [found for key, part in parts.items() for found in _find_marks(part, f"{place}.{key}")]
    yield from inner
    if isinstance(value, UnparsedObject) or (value._unparsed and not inner):
        yield f"{place}: {type(value).__name__} does not accept {str(parts)[:200]}"
    elif isinstance(value, ModelNormal):
        yield from (
            f"{place}.{key}: {type(value).__name__} has no such key" for key in parts if key not in value.attribute_map
        )
