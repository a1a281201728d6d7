"""Which changes of the API break its clients, and whether the changelog names them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tools.openapi.breaking_changes import find_breaking_changes, find_released_document, find_unnamed_changes

Document = dict[str, Any]

OLD: Document = {
    "info": {"version": "0.1.0"},
    "paths": {
        "/api/jobs/{name}": {
            "get": {
                "x-scope": "read",
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 500}},
                    {"name": "state", "in": "query", "schema": {"type": "string", "enum": ["on", "off"]}},
                    {"name": "text", "in": "query", "schema": {"type": "string", "maxLength": 50}},
                ],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}}},
                    "404": {},
                },
            },
            "put": {
                "x-scope": "manage",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Change"}}}},
                "responses": {"204": {}},
            },
        }
    },
    "components": {
        "schemas": {
            "Job": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "pause": {"anyOf": [{"$ref": "#/components/schemas/Pause"}, {"type": "null"}]},
                    "runs": {"type": "array", "items": {"$ref": "#/components/schemas/Pause"}},
                    "parent": {"$ref": "#/components/schemas/Job"},
                },
            },
            "Pause": {"type": "object", "properties": {"until": {"type": "string"}}},
            "Change": {
                "type": "object",
                "additionalProperties": False,
                "required": ["kind"],
                "properties": {
                    "kind": {"type": "string", "enum": ["http", "tcp"]},
                    "count": {"type": ["integer", "null"]},
                },
            },
        }
    },
}


def get(document: Document) -> Document:
    operation: Document = document["paths"]["/api/jobs/{name}"]["get"]
    return operation


def put(document: Document) -> Document:
    operation: Document = document["paths"]["/api/jobs/{name}"]["put"]
    return operation


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def parameter(document: Document, position: int) -> Document:
    found: Document = get(document)["parameters"][position]
    return found


def rename_path(document: Document) -> None:
    document["paths"]["/api/jobs/{job}"] = document["paths"].pop("/api/jobs/{name}")
    document["paths"]["/api/jobs/{job}"]["get"]["parameters"][0]["name"] = "job"


def move_properties(document: Document) -> None:
    document["components"]["schemas"]["Work"] = document["components"]["schemas"].pop("Job")
    get(document)["responses"]["200"]["content"]["application/json"]["schema"]["$ref"] = "#/components/schemas/Work"
    document["components"]["schemas"]["Work"]["properties"]["parent"]["$ref"] = "#/components/schemas/Work"


BREAKING: list[tuple[Callable[[Document], object], str, str]] = [
    (lambda new: new["paths"].clear(), "/api/jobs/{name}", "is removed"),
    (lambda new: new["paths"]["/api/jobs/{name}"].pop("put"), "/api/jobs/{name}", "is removed"),
    (lambda new: get(new).update({"x-scope": "manage"}), "/api/jobs/{name}", "requires the scope manage instead of"),
    (lambda new: get(new)["parameters"].pop(1), "limit", "(query) is removed"),
    (lambda new: parameter(new, 1).update(required=True), "limit", "(query) is now required"),
    (
        lambda new: get(new)["parameters"].append({"name": "If-Match", "in": "header", "required": True, "schema": {}}),
        "If-Match",
        "(header) is now required",
    ),
    (lambda new: parameter(new, 1)["schema"].update(type="boolean"), "limit", "no longer accepts integer"),
    (lambda new: parameter(new, 1)["schema"].update(maximum=100), "limit", "has the lower maximum 100"),
    (lambda new: parameter(new, 1)["schema"].update(minimum=2), "limit", "has the higher minimum 2"),
    (lambda new: parameter(new, 2)["schema"].update(enum=["on"]), "state", "no longer accepts off"),
    (lambda new: parameter(new, 3)["schema"].update(enum=["a"]), "text", "no longer accepts other values"),
    (lambda new: parameter(new, 3)["schema"].update(maxLength=49), "text", "has the lower maxLength 49"),
    (lambda new: parameter(new, 3)["schema"].update(pattern="^a"), "text", "has the new pattern ^a"),
    (lambda new: get(new)["responses"].pop("200"), "/api/jobs/{name}", "no longer responds with 200"),
    (
        lambda new: get(new)["responses"]["200"]["content"].pop("application/json"),
        "/api/jobs/{name}",
        "no longer has a body of application/json",
    ),
    (lambda new: schema(new, "Job")["properties"].pop("name"), "name", "is removed"),
    (lambda new: schema(new, "Pause")["properties"].pop("until"), "until", "is removed"),
    (lambda new: schema(new, "Job")["properties"]["name"].update(type=["string", "null"]), "name", "can now be null"),
    (lambda new: schema(new, "Change")["required"].append("count"), "count", "is now required"),
    (lambda new: schema(new, "Change")["properties"].pop("count"), "count", "is removed"),
    (
        lambda new: schema(new, "Change")["properties"]["count"].update(type="integer"),
        "count",
        "no longer accepts null",
    ),
    (lambda new: schema(new, "Change")["properties"]["kind"].update(enum=["http"]), "kind", "no longer accepts tcp"),
    (lambda new: put(new)["requestBody"].update(required=True), "/api/jobs/{name}", "requires a body now"),
]
COMPATIBLE: list[Callable[[Document], object]] = [
    lambda new: None,
    rename_path,
    move_properties,
    lambda new: new["paths"].update({"/api/more": {"get": {"responses": {}}}}),
    lambda new: get(new).update({"x-scope": "public"}),
    lambda new: get(new)["parameters"].append({"name": "more", "in": "query", "schema": {"type": "string"}}),
    lambda new: get(new)["responses"].pop("404"),
    lambda new: parameter(new, 1)["schema"].update(maximum=1000, minimum=0),
    lambda new: parameter(new, 1)["schema"].update(type="number"),
    lambda new: parameter(new, 2)["schema"]["enum"].append("paused"),
    lambda new: parameter(new, 2)["schema"].pop("enum"),
    lambda new: schema(new, "Job")["properties"].update(more={"type": "string"}),
    lambda new: schema(new, "Job")["properties"]["pause"]["anyOf"].pop(),
    lambda new: schema(new, "Change")["properties"].update(more={"type": "string"}),
    lambda new: schema(new, "Change")["properties"]["kind"]["enum"].append("dns"),
    lambda new: schema(new, "Change")["properties"]["count"].update(type=["integer", "null", "string"]),
]


@pytest.mark.parametrize(("change", "name", "text"), BREAKING, ids=[f"{each[1]} {each[2]}" for each in BREAKING])
def test_a_change_that_breaks_clients_is_found(change: Callable[[Document], object], name: str, text: str) -> None:
    new = copy.deepcopy(OLD)
    change(new)

    found = set(find_breaking_changes(OLD, new))

    assert {each.name for each in found} == {name}
    assert any(each.text.startswith(text) for each in found), found


@pytest.mark.parametrize("change", COMPATIBLE, ids=range(len(COMPATIBLE)))
def test_a_change_that_clients_survive_is_not_reported(change: Callable[[Document], object]) -> None:
    new = copy.deepcopy(OLD)
    change(new)

    assert list(find_breaking_changes(OLD, new)) == []


@pytest.mark.parametrize(
    ("changelog", "unnamed"),
    [
        ("## [Unreleased]\n\n- The parameter `limit` is removed.\n\n## [0.1.0]\n", []),
        ("## [Unreleased]\n\n- `GET /api/jobs/{name}?limit=5` is not accepted.\n", []),
        ("## [Unreleased]\n\n- There is no limit.\n\n## [0.1.0]\n\n- `limit` is new.\n", ["limit"]),
        ("## [Unreleased]\n\n## [0.2.0]\n\n- The parameter `limit` is removed.\n\n## [0.1.0]\n", []),
        ("## [Unreleased]\n\n- `limits` is new.\n", ["limit"]),
        ("", ["limit"]),
    ],
)
def test_the_changelog_names_a_change_as_code_after_the_old_document(changelog: str, unnamed: list[str]) -> None:
    new = copy.deepcopy(OLD)
    get(new)["parameters"].pop(1)

    assert [each.name for each in find_unnamed_changes(OLD, new, changelog)] == unnamed


def test_a_removed_path_is_named_as_a_whole() -> None:
    new = copy.deepcopy(OLD)
    new["paths"].clear()

    assert find_unnamed_changes(OLD, new, "## [Unreleased]\n\n- `GET /api/jobs/{name}` is gone.") == []
    assert {each.name for each in find_unnamed_changes(OLD, new, "## [Unreleased]\n\n- `GET /api/jobs`")} == {
        "/api/jobs/{name}"
    }


def test_the_document_of_the_last_release_is_stored_once() -> None:
    released = find_released_document()
    document = json.loads(released.read_text(encoding="utf-8"))

    assert released.parent.name == document["info"]["version"]
    assert list(find_breaking_changes(document, document)) == []
