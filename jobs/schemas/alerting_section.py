"""The schemas of the sections `alerting` and `objectives` of job files, from the registered parts."""

from __future__ import annotations

from typing import Any

from jobs.definition.alerting.registry import SECTION_PARTS
from jobs.definition.alerting.section_part import SectionPart
from jobs.definition.objectives.section import OBJECTIVES_SECTION
from jobs.schemas.generator import create_model_schema


def create_alerting_section(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema. The models to which it refers are added to `definitions`."""
    return {
        "type": ["object", "null"],
        "description": "Alerts: rules by selector, groups, channels, routes, rotas, windows",
        "properties": {part.key: _create_part(part, definitions) for part in SECTION_PARTS},
        "additionalProperties": False,
    }


def create_objectives_section(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the same of the section `objectives`."""
    return _create_part(OBJECTIVES_SECTION, definitions)


def _create_part(part: SectionPart, definitions: dict[str, Any]) -> dict[str, Any]:
    entry, below = create_model_schema(part.model)
    definitions.update(below)
    if part.is_named:
        if "then" not in entry:
            entry["type"] = ["object", "null"]  # an entry without a value has its defaults
        return {
            "type": ["object", "null"],
            "description": part.description,
            "propertyNames": {"pattern": part.name_pattern},
            "maxProperties": part.max_entries,
            "additionalProperties": entry,
        }
    return {
        "type": ["array", "null"],
        "description": part.description,
        "maxItems": part.max_entries,
        "items": entry,
    }
