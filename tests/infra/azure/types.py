"""Compares resources with the types that Microsoft publishes, for tests/infra/azure.

    python -m tests.infra.azure.types FOLDER    # a clone of Azure/bicep-types-az: write resource_types.json anew

The file has each type and API version that the templates use, with the names of all properties that can be written.
What is below a property is there if the templates use it. So misspelt properties are found, and wrong values.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.infra.azure.deployments import ENVELOPE, used_properties
from tests.infra.azure.evaluation import Later, is_in_range, is_later
from tests.project import ROOT

TYPES_FILE = ROOT / "tests" / "data" / "azure" / "resource_types.json"
_KINDS: Mapping[str, tuple[type, ...]] = {"string": (str,), "boolean": (bool,), "integer": (int, float)}
_READ_ONLY, _REQUIRED = 2, 1
_SIMPLE = {"StringType": "string", "BooleanType": "boolean", "IntegerType": "integer", "AnyType": "any"}
_LIMITS = ("minLength", "maxLength", "pattern", "minValue", "maxValue")
Problems = Iterator[tuple[str, str]]
"""Pairs of the path of a value and what is wrong with it."""


@cache
def load_types() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(TYPES_FILE.read_text(encoding="utf-8"))
    return content


def find_problems(resource: Mapping[str, Any]) -> list[str]:
    """Return what the type of a resource does not allow, with its path."""
    name = f"{resource['type']}@{resource['apiVersion']}"
    known = load_types()["types"].get(name)
    if known is None:
        return [f"{name} is not in {TYPES_FILE.name}: python -m tests.infra.azure.types FOLDER"]
    body = {key: value for key, value in resource.items() if key not in ENVELOPE}
    body["name"] = str(body["name"]).rpartition("/")[2]
    return [f"{resource['type']}{path}: {problem}" for path, problem in _check(known, body, "")]


def _check(node: Any, value: Any, path: str) -> Problems:
    if node == "any" or isinstance(value, Later) or value is None:
        return
    if isinstance(node, str):
        yield from _check_simple(node, {}, value, path)
    elif "by" in node:
        yield from _check_variant(node, value, path)
    elif "object" in node:
        yield from _check_object(node, value, path)
    elif "array" in node and not isinstance(value, list):
        yield path, f"is not an array: {value!r}"
    elif "array" in node:
        for at, item in enumerate(value):
            yield from _check(node["array"], item, f"{path}/{at}")
    elif "one_of" in node:
        if value not in node["one_of"]:
            yield path, f"{value!r} is not a documented value: {', '.join(map(str, node['one_of']))}"
    else:
        ((kind, limits),) = node.items()
        yield from _check_simple(kind, limits, value, path)


def _check_object(node: Mapping[str, Any], value: Any, path: str) -> Problems:
    if not isinstance(value, dict):
        yield path, f"is not an object: {value!r}"
        return
    for name in node.get("required", ()):
        if name not in value:
            yield path, f"{name} is missing"
    for key, below in value.items():
        known = node["object"].get(key, node.get("more"))
        if known is None:
            yield f"{path}/{key}", "does not exist"
        else:
            yield from _check(known, below, f"{path}/{key}")


def _check_variant(node: Mapping[str, Any], value: Any, path: str) -> Problems:
    chosen = value.get(node["by"]) if isinstance(value, dict) else None
    if chosen not in node["variants"]:
        yield path, f"{node['by']} {chosen!r} is not one of {', '.join(node['variants'])}"
        return
    base, variant = node["base"], node["variants"][chosen]
    merged = {
        "object": {**base["object"], **variant["object"]},
        "required": [*base.get("required", ()), *variant.get("required", ())],
    }
    yield from _check_object(merged, value, path)


def _check_simple(kind: str, limits: Mapping[str, Any], value: Any, path: str) -> Problems:
    if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield path, f"is not of type {kind}: {value!r}"
        return
    if is_later(value):
        return
    if not is_in_range(value, limits):
        yield path, f"is out of range: {value!r}"
    if "pattern" in limits and not re.search(limits["pattern"], str(value)):
        yield path, f"{value!r} does not have the form {limits['pattern']}"


class TypeReader:
    """One file of types of the clone, in which types refer to others by their number."""

    def __init__(self, path: Path) -> None:
        self._types: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))

    def find_resource(self, name: str) -> dict[str, Any] | None:
        """Return the body of a resource type, such as `Microsoft.Web/sites@2024-04-01`."""
        for each in self._types:
            if each["$type"] == "ResourceType" and each["name"].lower() == name.lower():
                return self._get(each["body"])
        return None

    def read(self, node: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Any] | str:
        """Return a type in our form. `used`: the properties below it that the templates use."""
        kind = node["$type"]
        if kind in _SIMPLE:
            limits = {key: node[key] for key in _LIMITS if key in node}
            return {_SIMPLE[kind]: limits} if limits else _SIMPLE[kind]
        if kind == "StringLiteralType":
            return {"one_of": [node["value"]]}
        if kind == "UnionType":
            elements = [self._get(each) for each in node["elements"]]
            values = [each["value"] for each in elements if each["$type"] == "StringLiteralType"]
            return {"one_of": values} if values else "string"
        if kind == "ArrayType":
            return {"array": self.read(self._get(node["itemType"]), used)}
        if kind == "DiscriminatedObjectType":
            base = self._object({"properties": node["baseProperties"]}, used)
            variants = {name: self.read(self._get(each), used) for name, each in sorted(node["elements"].items())}
            return {"by": node["discriminator"], "base": base, "variants": variants}
        return self._object(node, used)

    def _object(self, node: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Any]:
        properties = {name: each for name, each in node.get("properties", {}).items() if not each["flags"] & _READ_ONLY}
        found: dict[str, Any] = {"object": {}}
        for name, each in sorted(properties.items()):
            below = used.get(name)
            found["object"][name] = "any" if below is None else self.read(self._get(each["type"]), below)
        required = sorted(name for name, each in properties.items() if each["flags"] & _REQUIRED)
        if required:
            found["required"] = required
        if node.get("additionalProperties"):
            found["more"] = self.read(self._get(node["additionalProperties"]), {})
        return found

    def _get(self, reference: Mapping[str, str]) -> dict[str, Any]:
        return self._types[int(reference["$ref"].removeprefix("#/"))]


def extract_type(clone: Path, name: str, used: Mapping[str, Any]) -> dict[str, Any] | str:
    """Return a type, by its name with the API version. Raises LookupError: it is not in the clone."""
    namespace, version = name.partition("/")[0].lower(), name.partition("@")[2]
    for path in clone.glob(f"generated/*/{namespace}/{version}/types.json"):
        reader = TypeReader(path)
        if (node := reader.find_resource(name)) is not None:
            return reader.read(node, used)
    raise LookupError(f"{name} is not in {clone}")


def write_types(clone: Path) -> None:
    commit = subprocess.check_output(["git", "-C", str(clone), "rev-parse", "HEAD"], text=True).strip()
    types = {name: extract_type(clone, name, used) for name, used in sorted(used_properties().items())}
    source = f"github.com/Azure/bicep-types-az, commit {commit}"
    TYPES_FILE.write_text(json.dumps({"source": source, "types": types}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    write_types(Path(sys.argv[1]))
