"""Reads an ARM template as a document whose expressions have their values. Called by source.

The tree has the web tests and their alerts as they are, each other resource, parameter and variable as one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config.importers.import_context import ImportContext
from config.importers.node import SourceNode, SourceTree
from config.importers.sources.app_insights.arm_expressions import ArmExpressions, UnknownValue
from config.importers.unresolved import UnresolvedText
from jobs.problems import KeyPath

WEB_TEST = "microsoft.insights/webtests"
METRIC_ALERT = "microsoft.insights/metricalerts"
_MOST_COPIES = 200
_MOST_LEVELS = 30
_OTHER = "not a web test: it stays in the template"


def is_template(value: Any) -> bool:
    """Return whether a document is an ARM template."""
    return isinstance(value, dict) and "deploymentTemplate" in str(value.get("$schema", ""))


def is_parameter_file(value: Any) -> bool:
    """Return whether a document has the values of a template's parameters."""
    return isinstance(value, dict) and "deploymentParameters" in str(value.get("$schema", ""))


def read_parameter_file(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by name, in small letters."""
    listed = value.get("parameters")
    entries = listed.items() if isinstance(listed, dict) else ()
    return {str(name).lower(): one["value"] for name, one in entries if isinstance(one, dict) and "value" in one}


class ArmTemplate:
    """One template. `values`: of parameters, by name in small letters."""

    def __init__(self, document: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self._parameters = _mapping(document.get("parameters"))
        self._variables = _mapping(document.get("variables"))
        self._values = values
        self._resources = document.get("resources")
        self._pending: set[str] = set()
        self._expressions = ArmExpressions(self._parameter, self._variable)

    def resources(self) -> Iterator[tuple[KeyPath, str, dict[str, Any]]]:
        """Yield path, type in small letters, and content of each resource, also of nested and of copied ones."""
        yield from self._iter_resources(self._resources, ("resources",), 0)

    def _iter_resources(self, listed: Any, path: KeyPath, level: int) -> Iterator[tuple[KeyPath, str, dict[str, Any]]]:
        # Symbolic names (languageVersion 2.0) are a mapping.
        entries = listed.items() if isinstance(listed, dict) else enumerate(listed) if isinstance(listed, list) else ()
        for key, resource in entries:
            if not isinstance(resource, dict) or level > _MOST_LEVELS:
                continue
            kind = str(resource.get("type", "")).lower()
            if kind in (WEB_TEST, METRIC_ALERT):
                for copy in self._copies(resource):
                    yield (*path, key), kind, copy
            elif kind == "microsoft.resources/deployments":
                properties = _mapping(resource.get("properties"))
                nested = _mapping(properties.get("template"))
                deeper = (*path, key, "properties", "template", "resources")
                yield from self._iter_resources(nested.get("resources"), deeper, level + 1)
            else:
                yield from self._iter_resources(resource.get("resources"), (*path, key, "resources"), level + 1)

    def _copies(self, resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
        loop = resource.get("copy")
        if not isinstance(loop, dict):
            yield self._fill(resource, 0)
            return
        count = self._fill(loop.get("count"), 0)
        number = count if isinstance(count, int) and not isinstance(count, bool) else 1
        for index in range(min(max(number, 0), _MOST_COPIES)):
            if isinstance(count, int):
                self._expressions.copy_indexes = {"": index, str(loop.get("name", "")): index}
            yield self._fill({key: value for key, value in resource.items() if key != "copy"}, 0)
        self._expressions.copy_indexes = {}

    def _fill(self, value: Any, level: int) -> Any:
        """Return a value with the values of its expressions."""
        if level > _MOST_LEVELS * 2:
            return value
        if isinstance(value, dict):
            return {self._fill_key(key): self._fill(one, level + 1) for key, one in value.items()}
        if isinstance(value, list):
            return [self._fill(one, level + 1) for one in value]
        if not isinstance(value, str) or not value.startswith("[") or not value.endswith("]"):
            return value
        if value.startswith("[["):
            return value[1:]
        try:
            return self._expressions.evaluate(value[1:-1])
        except UnknownValue as error:
            return UnresolvedText(value, str(error))

    def _fill_key(self, key: str) -> str:
        filled = self._fill(key, 0)
        return filled if isinstance(filled, str) else key

    def _parameter(self, name: str) -> Any:
        if name.lower() in self._values:
            return self._values[name.lower()]
        definition = _mapping(_find(self._parameters, name))
        if "defaultValue" not in definition:
            raise UnknownValue(f"parameter {name}")
        return self._evaluated(f"parameter {name}", definition["defaultValue"])

    def _variable(self, name: str) -> Any:
        value = _find(self._variables, name)
        if value is None:
            raise UnknownValue(f"variable {name}")
        return self._evaluated(f"variable {name}", value)

    def _evaluated(self, name: str, value: Any) -> Any:
        if name in self._pending:
            raise UnknownValue(f"{name}, which needs itself")
        self._pending.add(name)
        try:
            filled = self._fill(value, 0)
        finally:
            self._pending.discard(name)
        if isinstance(filled, UnresolvedText):
            raise UnknownValue(filled.needs)
        return filled


def add_template(context: ImportContext, tree: SourceTree, values: Mapping[str, Any]) -> list[tuple[str, SourceNode]]:
    """Add the template, and return type and node of each web test and alert."""
    template = ArmTemplate(tree.value, values)
    found = list(template.resources())
    document: dict[str, Any] = {}
    lines: dict[KeyPath, KeyPath] = {}
    for number, (path, kind, content) in enumerate(found):
        key = f"{content.get('name', kind)}" if not isinstance(content.get("name"), UnresolvedText) else kind
        while key in document:
            key = f"{key} ({number})"
        document[key] = content
        lines[(key,)] = path
    others = _list_others(tree.value, {path[:2] for path, _, _ in found})
    document.update(others)
    rebuilt = SourceTree(tree.file, document, lambda path: tree.line_of((*lines.get(path[:1], ()), *path[1:])))
    root = context.add_tree(rebuilt)
    for key in others:
        if (node := root.child(key)) is not None:
            context.use(node, _OTHER)
    kinds = [kind for _, kind, _ in found]
    nodes: Sequence[SourceNode | None] = [root.child(key[0]) for key in lines]
    return [(kind, node) for kind, node in zip(kinds, nodes, strict=True) if node is not None]


def _list_others(document: Mapping[str, Any], known: set[KeyPath]) -> dict[str, str]:
    """Return a line for each other part of the template."""
    others: dict[str, str] = {}
    for key, value in document.items():
        if key == "resources":
            entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            for index, resource in entries:
                if ("resources", index) not in known and isinstance(resource, dict):
                    others[f"resources[{index}]"] = f"{resource.get('type', '')} {resource.get('name', '')}"
        elif isinstance(value, dict) and key in ("parameters", "variables", "outputs", "functions"):
            others.update({f"{key}.{name}": "" for name in value})
        else:
            others[key] = ""
    return others


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _find(mapping: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in mapping.items() if str(key).lower() == name.lower()), None)
