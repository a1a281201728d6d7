"""Editors show a text for each key of alerts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from jobs.schemas import create_file_schema
from jobs.schemas.generator import TEXTS

SCHEMA = create_file_schema()
DEFINITIONS = SCHEMA["$defs"]
SECTION = DEFINITIONS["section_alerting"]
VALIDATOR = jsonschema_rs.validator_for({"$schema": SCHEMA["$schema"], "$defs": DEFINITIONS, **SECTION})


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    return DEFINITIONS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def has_text(schema: dict[str, Any]) -> bool:
    found = resolve(schema)
    return bool(schema.get("description") or found.get("description")) or ("then" in found and has_text(found["then"]))


def list_properties(schema: Any, path: tuple[str, ...], visited: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, list):
        for each in schema:
            yield from list_properties(each, path, visited)
    elif isinstance(schema, dict):
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and name not in visited:
            visited.add(name)
            yield from list_properties(DEFINITIONS[name], (name,), visited)
        for key, value in schema.get("properties", {}).items():
            if value and not {"const", "not"} & value.keys():  # others select a schema
                yield ".".join((*path, key)), value
        for key, value in schema.items():
            yield from list_properties(value, (*path, key) if key in SECTION else path, visited)


def test_each_key_has_a_text() -> None:
    found = list(list_properties(SECTION, ("alerting",), set()))
    assert len(found) > 100
    assert [name for name, schema in found if not has_text(schema)] == []


def test_each_text_has_its_key() -> None:
    parts = {"SeverityDefinition", "SelectedRules", "AlertGroup", "Route", "RotaDefinition", "MaintenanceWindow"}
    for model in TEXTS.keys() - parts - {"TemplatesSection"}:
        assert TEXTS[model].keys() <= DEFINITIONS[model]["properties"].keys(), model
    entries = [resolve(each) for each in SECTION["properties"].values()]
    shapes = [resolve(each.get("items") or each["additionalProperties"]) for each in entries]
    keys = [each.get("properties", {}).keys() for each in shapes]
    for model in (*parts, "TemplatesSection"):
        assert any(TEXTS[model].keys() <= found for found in keys), model


@pytest.mark.parametrize(
    "section",
    [
        {"chanels": {}},
        {"channels": {"a": {"kind": "tems", "url": {"secret": "a"}}}},
        {"channels": {"a": {"kind": "ntfy", "topic": "a", "fallbak": "b"}}},
        {"channels": [{"kind": "ntfy", "topic": "a"}]},
        {"routes": {"a": {"notify": "b"}}},
        {"routes": [{"notify": "b", "mach": {}}]},
        {"on_call": {"a": {"file": "a.ics", "otherwise": "b"}}},
        {"windows": [{"name": "a", "select": {"all": True}, "weekly": {"form": "10:00"}}]},
        {"templates": {"a": {"titel": "x"}}},
    ],
    ids=str,
)
def test_a_mistake_is_refused(section: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(section)
