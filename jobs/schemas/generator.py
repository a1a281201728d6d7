"""JSON schemas of models, as editors need them. Used by the other modules here."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from jobs.formats.durations import format_duration
from jobs.schemas.alerting_texts import add_texts
from jobs.schemas.conditions import resolve_unions
from jobs.schemas.parts import TAGS, Schema, list_parts

_WHOLE_TEXT: Final = r"^\s*[+-]?[0-9_]+(\.0*)?\s*$"
_NUMBER_TEXT: Final = r"^\s*[+-]?([0-9_]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_FLAG_TEXT: Final = (
    "^([tT]([rR][uU][eE])?|[fF]([aA][lL][sS][eE])?|[yY]([eE][sS])?|[nN][oO]?|[oO][nN]|[oO][fF][fF]|0|1)$"
)
_BOUNDS: Final = {"ge": "minimum", "le": "maximum"}
_LENGTHS: Final = {"minLength": "minItems", "maxLength": "maxItems"}


class _Generator(GenerateJsonSchema):
    """Numbers and flags can be texts, as the models read them. A union with a discriminator keeps its tags."""

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return super().int_schema(schema) | {"type": ["integer", "string"], "pattern": _WHOLE_TEXT}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return super().float_schema(schema) | {"type": ["number", "string"], "pattern": _NUMBER_TEXT}

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return {"type": ["boolean", "string", "integer"], "pattern": _FLAG_TEXT, "minimum": 0, "maximum": 1}

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        return {TAGS: {str(tag): self.generate_inner(choice) for tag, choice in schema["choices"].items()}}

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def create_model_schema(model: Any) -> tuple[Schema, dict[str, Schema]]:
    """Return the schema of a model or of an annotated type, and the definitions to which it refers."""
    # A copy: pydantic returns parts that belong to the fields.
    schema = deepcopy(TypeAdapter(model).json_schema(by_alias=True, schema_generator=_Generator))
    definitions: dict[str, Schema] = schema.pop("$defs", {})
    for name, each in ((getattr(model, "__name__", ""), schema), *definitions.items()):
        _clean(each)
        add_texts(name, each)
    resolve_unions(schema, definitions)
    return schema, definitions


def _clean(schema: Schema) -> None:
    """Remove titles, which repeat the keys; write defaults and bounds as a file has them."""
    schema.pop("title", None)
    if "description" in schema:
        schema["description"] = re.sub(r"\s*\n\s*", " ", schema["description"])
    for name, standard in _BOUNDS.items():
        bound = schema.pop(name, None)
        if bound is not None and schema.get("type") != "string":
            schema[standard] = bound
    for name, standard in _LENGTHS.items():
        if name in schema and ("items" in schema or "anyOf" in schema):
            schema[standard] = schema.pop(name)
    if schema.get("default", ...) is None:
        del schema["default"]
    if isinstance(schema.get("default"), float) and schema.get("type") == "string":
        schema["default"] = format_duration(schema["default"])
    for _, _, part in list_parts(schema):
        _clean(part)
