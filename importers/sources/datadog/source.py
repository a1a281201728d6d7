"""Imports tests of Datadog Synthetics, as `GET /api/v1/synthetics/tests` returns all or one, or as Terraform has
them.

The answer of `GET /api/v1/synthetics/variables` in another file has the values of global variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from importers.import_context import ImportContext
from importers.reading import find_text
from importers.source_tree import SourceFile, SourceNode, SourceTree, UnreadableSource
from importers.sources.datadog.synthetic_tests import import_test
from importers.terraform import has_resources, is_hcl, read_resources
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
    conversion = _Conversion()
    values = node.value if isinstance(node.value, dict) else {}
    _convert(conversion, values, (), ("config",), node.path)
    value = _with_lists(conversion.value)

    def origin(path: KeyPath) -> KeyPath:
        while path and path not in conversion.origins:
            path = path[:-1]
        return conversion.origins.get(path, node.path)

    return SourceTree(
        node.tree.file,
        value,
        lambda path: node.tree.line_of(origin(path)),
        lambda path: dotted_path(*origin(path)),
    )


def _convert(
    conversion: _Conversion, values: Mapping[str, Any], path: KeyPath, config: KeyPath, origin: KeyPath
) -> None:
    """`path`: where other keys belong. `config`: where requests and assertions belong."""
    for key, value in values.items():
        source = (*origin, key)
        if key in _REQUEST_PARTS:
            block, place = _only_block(value, source)
            if isinstance(block, dict):
                _convert_mapping(
                    conversion,
                    block,
                    (*config, "request", *_REQUEST_PARTS[key]),
                    place,
                    is_free=key.endswith(("headers", "query")),
                )
        elif key in _OPTIONS:
            block, place = _only_block(value, source)
            if isinstance(block, dict):
                _convert_mapping(conversion, block, ("options",), place)
        elif key in ("api_step", "step") and isinstance(value, list):
            for index, step in enumerate(value):
                if isinstance(step, dict):
                    deeper = (*config, "steps", index)
                    _convert(conversion, step, deeper, deeper, (*source, index))
        elif key in _OF_CONFIG:
            _convert_mapping(conversion, {key: value}, config, origin)
        else:
            _convert_mapping(conversion, {key: value}, path, origin)


def _convert_mapping(
    conversion: _Conversion, values: Mapping[str, Any], path: KeyPath, origin: KeyPath, *, is_free: bool = False
) -> None:
    """`is_free`: its keys are those of a user, such as names of headers."""
    for key, value in values.items():
        target = (*path, key if is_free else _rename(key))
        source = (*origin, key)
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            if key in _LISTS or len(value) > 1:
                for index, one in enumerate(value):
                    _convert_mapping(conversion, one, (*target, index), (*source, index))
            else:
                _convert_mapping(conversion, value[0], target, (*source, 0))
        elif isinstance(value, dict) and not is_free:
            _convert_mapping(conversion, value, target, source, is_free=key == "headers")
        else:
            conversion.put(target, value, source)


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


_EXPECTED = "save the answer of GET /api/v1/synthetics/tests, or of /api/v1/synthetics/tests/ID for tests with steps"
_TYPES = frozenset({"api", "browser", "mobile", "network"})


def detects(file: SourceFile) -> bool:
    """Return whether the file has tests."""
    if is_hcl(file):
        return has_resources(file, KINDS)
    if file.head.lstrip()[:1] not in (b"{", b"["):
        return False
    return has_resources(file, KINDS) or any(_is_test(node) for node in _list_tests(file.tree.root))


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add the jobs of all files. Raises UnreadableSource."""
    tests: list[SourceNode] = []
    globals_: dict[str, tuple[str, SourceNode]] = {}
    terraform = [file for file in files if is_hcl(file) or has_resources(file, KINDS)]
    for _, node in read_resources(terraform, context, KINDS, are_added=False) if terraform else ():
        tests.append(context.add_tree(convert_resource(node)))
    for file in files:
        if file in terraform:
            continue
        root = context.add_tree(file.tree)
        variables = root.child("variables")
        listed = list(_list_tests(root))
        if variables is not None and not any(map(_is_test, listed)):
            _read_globals(context, variables, globals_)
            continue
        if root.child("tests") is None and not any(map(_is_test, listed)):
            raise UnreadableSource(file.shown, "has no tests", _EXPECTED)
        tests += listed
    for node in tests:
        if _is_test(node):
            import_test(context, node, globals_)
        else:
            context.drop(node, "is not a test: it has no type and configuration", _EXPECTED)


def _list_tests(root: SourceNode) -> Iterator[SourceNode]:
    listed = root.child("tests") or root
    if isinstance(listed.value, list):
        yield from listed.children()
    elif isinstance(listed.value, dict) and listed.value:
        yield listed


def _is_test(node: SourceNode) -> bool:
    return isinstance(node.value, dict) and str(node.value.get("type")) in _TYPES and "config" in node.value


def _read_globals(context: ImportContext, listed: SourceNode, globals_: dict[str, tuple[str, SourceNode]]) -> None:
    for node in listed.children():
        name, value = find_text(node.child("name")), node.child("value", "value")
        text = find_text(value)
        secure = node.child("value", "secure")
        if name and value is not None and text and not (secure is not None and secure.value):
            globals_[name] = (text, value)
        context.use(node, "the value of a global variable" if text else "a secret whose value the API does not return")
