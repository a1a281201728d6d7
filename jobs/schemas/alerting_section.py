"""The schemas of the sections `alerting` and `objectives` of job files, from the registered parts."""

from __future__ import annotations

from typing import Any

from jobs.definition.alerting.registry import SECTION_PARTS
from jobs.definition.alerting.section_part import SectionPart
from jobs.definition.objectives.section import OBJECTIVES_SECTION
from jobs.schemas.alerting_texts import add_texts
from jobs.schemas.full_form import clean_schema


def create_alerting_section(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema. The models to which it refers are added to `definitions`."""
    return {
        "type": "object",
        "description": "Alerts: rules by selector, groups, channels, routes, rotas, windows",
        "properties": {part.key: _create_part(part, definitions) for part in SECTION_PARTS},
        "additionalProperties": False,
    }


def create_objectives_section(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the same of the section `objectives`."""
    return _create_part(OBJECTIVES_SECTION, definitions)


def _create_part(part: SectionPart, definitions: dict[str, Any]) -> dict[str, Any]:
    entry = part.adapter.json_schema(by_alias=True)
    below = entry.pop("$defs", {})
    for schema in (entry, *below.values()):
        clean_schema(schema)
    add_texts(getattr(part.model, "__name__", ""), entry)
    for name, schema in below.items():
        add_texts(name, schema)
    definitions.update(below)
    if part.is_named:
        # An entry without a value has its defaults.
        values = {"anyOf": [entry, {"type": "null"}]} if not entry.get("required") else entry
        shape: dict[str, Any] = {
            "type": "object",
            "propertyNames": {"pattern": part.name_pattern},
            "additionalProperties": values,
        }
    else:
        shape = {"type": "array", "items": entry, "maxItems": part.max_entries}
    return {"description": part.description, "anyOf": [shape, {"type": "null"}]}
