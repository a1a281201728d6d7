"""Writes tools/infra/azure_types/azure.json from a clone of Azure/bicep-types-az, for new types of the templates.

    python -m tools.infra.azure_types.extraction FOLDER        # a clone, with its files

Of each type and API version that infra/arm uses, it stores the names of all properties that can be written, and below a
property what the templates use. So a property that does not exist is found, and so is a wrong value of a used one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tools.infra.azure_types.used import used_properties

TYPES_FILE = Path(__file__).parent / "azure.json"
_READ_ONLY, _REQUIRED = 2, 1
_SIMPLE = {"StringType": "string", "BooleanType": "boolean", "IntegerType": "integer", "AnyType": "any"}
_LIMITS = ("minLength", "maxLength", "pattern", "minValue", "maxValue")
Node = dict[str, Any] | str


class TypeReader:
    """One file of types of the clone, in which types refer to others by their number."""

    def __init__(self, types: list[dict[str, Any]]) -> None:
        self._types = types

    def find_resource(self, name: str) -> dict[str, Any] | None:
        """Return the body of a resource type, such as `Microsoft.Web/sites@2024-04-01`."""
        for each in self._types:
            if each["$type"] == "ResourceType" and each["name"].lower() == name.lower():
                return self._get(each["body"])
        return None

    def read(self, node: Mapping[str, Any], used: Mapping[str, Any]) -> Node:
        """Return a type in our form. `used`: the properties below it that the templates use."""
        kind = node["$type"]
        if kind in _SIMPLE:
            limits = {key: node[key] for key in _LIMITS if key in node}
            return {_SIMPLE[kind]: limits} if limits else _SIMPLE[kind]
        if kind == "StringLiteralType":
            return {"one_of": [node["value"]]}
        if kind == "UnionType":
            return self._union(node)
        if kind == "ArrayType":
            return {"array": self.read(self._get(node["itemType"]), used)}
        if kind == "DiscriminatedObjectType":
            return self._variants(node, used)
        return self._object(node, used)

    def _object(self, node: Mapping[str, Any], used: Mapping[str, Any]) -> Node:
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

    def _variants(self, node: Mapping[str, Any], used: Mapping[str, Any]) -> Node:
        base = self._object({"properties": node["baseProperties"]}, used)
        variants = {name: self.read(self._get(each), used) for name, each in sorted(node["elements"].items())}
        return {"by": node["discriminator"], "base": base, "variants": variants}

    def _union(self, node: Mapping[str, Any]) -> Node:
        elements = [self._get(each) for each in node["elements"]]
        values = [each["value"] for each in elements if each["$type"] == "StringLiteralType"]
        is_open = any(each["$type"] == "StringType" for each in elements)
        return {"one_of": values, "open": True} if is_open else {"one_of": values}

    def _get(self, reference: Mapping[str, str]) -> dict[str, Any]:
        return self._types[int(reference["$ref"].removeprefix("#/"))]


def extract(folder: Path) -> dict[str, Any]:
    """Return the types that the templates use. Raises LookupError: one is not in the clone."""
    used = used_properties()
    types = {name: _extract_type(folder, name, below) for name, below in sorted(used.items())}
    commit = _git(folder, "rev-parse", "HEAD").decode().strip()
    return {"source": f"github.com/Azure/bicep-types-az, commit {commit}", "types": types}


def _extract_type(folder: Path, name: str, used: Mapping[str, Any]) -> Node:
    namespace, version = name.partition("/")[0].lower(), name.partition("@")[2]
    for path in _type_files(folder):
        if path.endswith(f"/{namespace}/{version}/types.json"):
            reader = TypeReader(_load(folder, path))
            if (found := reader.find_resource(name)) is not None:
                return reader.read(found, used)
    raise LookupError(f"{name} is not in {folder}")


@cache
def _load(folder: Path, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_git(folder, "show", f"HEAD:{path}"))
    return found


@cache
def _type_files(folder: Path) -> tuple[str, ...]:
    return tuple(_listed(folder))


def _listed(folder: Path) -> Iterator[str]:
    for line in _git(folder, "ls-tree", "-r", "--name-only", "HEAD", "generated/").decode().splitlines():
        if line.endswith("/types.json"):
            yield line


def _git(folder: Path, *words: str) -> bytes:
    return subprocess.check_output(["git", "-C", str(folder), *words])


if __name__ == "__main__":
    TYPES_FILE.write_text(json.dumps(extract(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n")
