"""Converts a resource `datadog_synthetics_test` to the form of the API. Called by source.

Reports show the keys of Terraform: each path of the converted document knows the one that it came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.importers.node import SourceNode, SourceTree
from jobs.problems import KeyPath, dotted_path

RESOURCE = "datadog_synthetics_test"
KINDS = frozenset({RESOURCE})

_REQUEST_PARTS = {
    "request_headers": ("headers",),
    "request_query": ("query",),
    "request_basicauth": ("basicAuth",),
    "request_client_certificate": ("certificate",),
    "request_proxy": ("proxy",),
    "request_definition": (),
    "request": (),
}
_RENAMED = {
    "assertion": "assertions",
    "config_variable": "configVariables",
    "variable": "configVariables",
    "api_step": "steps",
    "step": "steps",
    "extracted_value": "extractedValues",
    "targetjsonpath": "target",
    "targetxpath": "target",
    "targetjsonschema": "target",
    "jsonpath": "jsonPath",
    "xpath": "xPath",
    "targetvalue": "targetValue",
    "elementsoperator": "elementsOperator",
}
_SNAKE = frozenset(
    {
        "tick_every",
        "min_failure_duration",
        "min_location_failed",
        "follow_redirects",
        "allow_insecure",
        "accept_self_signed",
        "monitor_name",
        "monitor_priority",
        "monitor_options",
        "monitor_id",
        "device_ids",
        "restricted_roles",
    }
    | {"renotify_interval", "renotify_occurrences", "escalation_message", "notification_preset_name"}
)
"""Keys that the API writes in the same way."""
_OF_CONFIG = frozenset({"assertion", "config_variable", "variable", "api_step", "step", "variables_from_script"})
_OPTIONS = ("options_list", "options")
_LISTS = frozenset({"assertion", "config_variable", "variable", "api_step", "step", "extracted_value", "timeframes"})
_EMPTY: tuple[Any, ...] = (None, "", [], {})


class _Conversion:
    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self.origins: dict[KeyPath, KeyPath] = {}

    def put(self, path: KeyPath, value: Any, origin: KeyPath) -> None:
        """Set a value in the converted document; of a list or mapping each part."""
        if value in _EMPTY:
            return
        if isinstance(value, dict):
            for key, one in value.items():
                self.put((*path, key), one, (*origin, key))
            return
        container: Any = self.value
        for key in path[:-1]:
            container = container.setdefault(key, {})
        container[path[-1]] = value
        self.origins[path] = origin


def convert_resource(node: SourceNode) -> SourceTree:
    """Return a tree in the form of the API."""
    made = _Conversion()
    values = node.value if isinstance(node.value, dict) else {}
    _convert(made, values, (), ("config",), node.path)
    value = _with_lists(made.value)

    def origin(path: KeyPath) -> KeyPath:
        while path and path not in made.origins:
            path = path[:-1]
        return made.origins.get(path, node.path)

    return SourceTree(
        node.tree.file,
        value,
        lambda path: node.tree.line_of(origin(path)),
        lambda path: dotted_path(*origin(path)),
    )


def _convert(made: _Conversion, values: Mapping[str, Any], path: KeyPath, config: KeyPath, origin: KeyPath) -> None:
    """`path`: where other keys belong. `config`: where requests and assertions belong."""
    for key, value in values.items():
        source = (*origin, key)
        if key in _REQUEST_PARTS:
            block, place = _only_block(value, source)
            if isinstance(block, dict):
                _convert_mapping(
                    made,
                    block,
                    (*config, "request", *_REQUEST_PARTS[key]),
                    place,
                    is_free=key.endswith(("headers", "query")),
                )
        elif key in _OPTIONS:
            block, place = _only_block(value, source)
            if isinstance(block, dict):
                _convert_mapping(made, block, ("options",), place)
        elif key in ("api_step", "step") and isinstance(value, list):
            for index, step in enumerate(value):
                if isinstance(step, dict):
                    deeper = (*config, "steps", index)
                    _convert(made, step, deeper, deeper, (*source, index))
        elif key in _OF_CONFIG:
            _convert_mapping(made, {key: value}, config, origin)
        else:
            _convert_mapping(made, {key: value}, path, origin)


def _convert_mapping(
    made: _Conversion, values: Mapping[str, Any], path: KeyPath, origin: KeyPath, *, is_free: bool = False
) -> None:
    """`is_free`: its keys are those of a user, such as names of headers."""
    for key, value in values.items():
        target = (*path, key if is_free else _rename(key))
        source = (*origin, key)
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            if key in _LISTS or len(value) > 1:
                for index, one in enumerate(value):
                    _convert_mapping(made, one, (*target, index), (*source, index))
            else:
                _convert_mapping(made, value[0], target, (*source, 0))
        elif isinstance(value, dict) and not is_free:
            _convert_mapping(made, value, target, source, is_free=key == "headers")
        else:
            made.put(target, value, source)


def _only_block(value: Any, source: KeyPath) -> tuple[Any, KeyPath]:
    return (value[0], (*source, 0)) if isinstance(value, list) and value else (value, source)


def _rename(key: str) -> str:
    if key in _RENAMED:
        return _RENAMED[key]
    return key if key in _SNAKE else re.sub(r"_([a-z])", lambda found: found[1].upper(), key)


def _with_lists(value: Any) -> Any:
    """Turn mappings with the keys 0, 1, ... into lists."""
    if not isinstance(value, dict):
        return value
    filled = {key: _with_lists(one) for key, one in value.items()}
    if filled and list(filled) == list(range(len(filled))):
        return list(filled.values())
    return filled
