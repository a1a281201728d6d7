"""Defines the base class of all response models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonValue

EXAMPLE_VALUES = "x-example-values"
"""Member of a schema, removed from the document: names and values of fields of the model's example."""

RETRY_AFTER = "5"
"""Seconds after which a client should retry while a part is down."""


class ResponseModel(BaseModel):
    """Defers its validator, because FastAPI builds one for each route that returns the model.

    Fields with a default are sent too, so the schema of a response requires them.
    """

    model_config = ConfigDict(defer_build=True, json_schema_serialization_defaults_required=True)


def example_values(**fields: JsonValue) -> ConfigDict:
    """Return the configuration of a model whose example has these fields.

    scheduler.api.description.examples adds the others.
    """
    pairs: list[JsonValue] = [[name, value] for name, value in fields.items()]  # FastAPI removes null from an object
    return ConfigDict(json_schema_extra={EXAMPLE_VALUES: pairs})
