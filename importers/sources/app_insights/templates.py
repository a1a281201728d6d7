"""Reads an ARM template as a document whose expressions have their values, such as `[concat('a', parameters('b'))]`.

The tree has the web tests and their alerts as they are, each other resource, parameter and variable as one value.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from importers.expressions.evaluation import Budget, Evaluation, ExpressionScope, Language, UnknownValue, resolve
from importers.expressions.hcl import parse_expression
from importers.expressions.texts import MAX_LEVELS, Scanner
from importers.import_context import ImportContext
from importers.source_tree import SourceNode, SourceTree, UnreadableSource, UnresolvedText
from jobs.problems import KeyPath

_QUOTED_OR_BLANK = re.compile(r"'((?:[^']|'')*)'|\s+")
_MAX_CHARACTERS = 100_000
_MAX_STEPS = 10_000_000
_NEAREST = "import the answer of: az monitor app-insights web-test list"


def parse_arm_expression(text: str) -> Evaluation:
    """Parse an expression without its brackets. Its grammar is that of HCL, with other quotes. Raises UnknownValue."""
    if len(text) > _MAX_CHARACTERS:
        raise UnknownValue("a very long expression")
    scanner = Scanner(_QUOTED_OR_BLANK.sub(_quote_as_hcl, text), "")
    try:
        evaluation = parse_expression(scanner).evaluation
        if not scanner.is_at_end:
            scanner.fail("expected the end")
    except UnreadableSource:
        is_too_deep = scanner.level > MAX_LEVELS
        raise UnknownValue(
            "a deeply nested expression" if is_too_deep else "an expression that cannot be read"
        ) from None
    return evaluation


def _quote_as_hcl(match: re.Match[str]) -> str:
    if match[1] is None:
        return ""
    text = match[1].replace("''", "'").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + text.replace("${", "$${").replace("%{", "%%{") + '"'


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"
    return value if isinstance(value, str) else json.dumps(value)


def _concat(*parts: Any) -> Any:
    if parts and all(isinstance(part, list) for part in parts):
        return [one for part in parts for one in part]
    return "".join(map(_text, parts))


def _format(pattern: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: _text(values[int(found[1])]), pattern)


def _resource_id(*parts: Any) -> str:
    """A path whose subscription and group are not known: only its type and names matter here."""
    texts = [_text(part) for part in parts]
    at = next(index for index, text in enumerate(texts) if "/" in text)
    kinds, names = texts[at].split("/"), texts[at + 1 :]
    path = "/".join(f"{kind}/{name}" for kind, name in zip(kinds[1:], names, strict=True))
    return f"/providers/{kinds[0]}/{path}"


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _union(*values: Any) -> Any:
    if all(isinstance(value, dict) for value in values):
        return {key: one for value in values for key, one in value.items()}
    joined = [one for value in values for one in value]
    return [one for index, one in enumerate(joined) if one not in joined[:index]]


def _equals(first: Any, other: Any) -> bool:
    return bool(first == other)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "concat": _concat,
    "format": _format,
    "tolower": lambda text: str(text).lower(),
    "toupper": lambda text: str(text).upper(),
    "trim": lambda text: str(text).strip(),
    "replace": lambda text, old, new: str(text).replace(old, new),
    "string": _text,
    "int": int,
    "bool": lambda value: str(value).lower() in ("true", "1"),
    "json": json.loads,
    "true": lambda: True,
    "false": lambda: False,
    "null": lambda: None,
    "if": lambda condition, yes, no: yes if condition else no,
    "equals": _equals,
    "not": lambda value: not value,
    "and": lambda *values: all(values),
    "or": lambda *values: any(values),
    "empty": lambda value: not value,
    "length": len,
    "first": lambda value: value[0],
    "last": lambda value: value[-1],
    "split": lambda text, sign: str(text).split(sign),
    "join": lambda values, sign: sign.join(map(_text, values)),
    "substring": lambda text, start, length=None: text[start : None if length is None else start + length],
    "contains": lambda container, item: item in container,
    "startswith": lambda text, start: str(text).lower().startswith(str(start).lower()),
    "endswith": lambda text, end: str(text).lower().endswith(str(end).lower()),
    "createarray": lambda *values: list(values),
    "createobject": lambda *pairs: dict(zip(pairs[::2], pairs[1::2], strict=True)),
    "coalesce": _coalesce,
    "union": _union,
    "base64": lambda text: base64.b64encode(str(text).encode()).decode(),
    "base64tostring": lambda text: base64.b64decode(text).decode(),
    "add": lambda one, other: one + other,
    "sub": lambda one, other: one - other,
    "mul": lambda one, other: one * other,
    "div": lambda one, other: one // other,
    "mod": lambda one, other: one % other,
    "min": min,
    "max": max,
    "greater": lambda one, other: one > other,
    "less": lambda one, other: one < other,
    "resourceid": _resource_id,
}
ARM = Language(_FUNCTIONS, ignores_case=True, accepts_unknown=True)


WEB_TEST = "microsoft.insights/webtests"
METRIC_ALERT = "microsoft.insights/metricalerts"
_MAX_COPIES = 200
_MAX_LEVELS = 30
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
    """One template. `values`: of parameters, by name in small letters. `shown`: its file in errors."""

    def __init__(self, document: Mapping[str, Any], values: Mapping[str, Any], shown: str) -> None:
        self._parameters = _mapping(document.get("parameters"))
        self._variables = _mapping(document.get("variables"))
        self._values = values
        self._resources = document.get("resources")
        self._pending: set[str] = set()
        self._copy_indexes: dict[str, int] = {}
        """Of the copy loops that are being expanded; empty name: the innermost one."""
        lookups = {"parameters": self._parameter, "variables": self._variable, "copyindex": self._copy_index}
        self._scope = ExpressionScope(ARM, lookups=lookups, budget=Budget(shown, _MAX_STEPS, _NEAREST))

    def resources(self) -> Iterator[tuple[KeyPath, str, dict[str, Any]]]:
        """Yield path, type in small letters, and content of each resource, also of nested and of copied ones."""
        yield from self._iter_resources(self._resources, ("resources",), 0)

    def _iter_resources(self, listed: Any, path: KeyPath, level: int) -> Iterator[tuple[KeyPath, str, dict[str, Any]]]:
        # Symbolic names (languageVersion 2.0) are a mapping.
        entries = listed.items() if isinstance(listed, dict) else enumerate(listed) if isinstance(listed, list) else ()
        for key, resource in entries:
            if not isinstance(resource, dict) or level > _MAX_LEVELS:
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
        for index in range(min(max(number, 0), _MAX_COPIES)):
            if isinstance(count, int):
                self._copy_indexes = {"": index, str(loop.get("name", "")): index}
            yield self._fill({key: value for key, value in resource.items() if key != "copy"}, 0)
        self._copy_indexes = {}

    def _fill(self, value: Any, level: int) -> Any:
        """Return a value with the values of its expressions."""
        if level > _MAX_LEVELS * 2:
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
            evaluation = parse_arm_expression(value[1:-1])
        except UnknownValue as error:
            return UnresolvedText(value, str(error))
        return resolve(evaluation, self._scope, value)

    def _fill_key(self, key: str) -> str:
        filled = self._fill(key, 0)
        return filled if isinstance(filled, str) else key

    def _copy_index(self, *arguments: Any) -> int:
        loop = str(arguments[0]) if arguments and isinstance(arguments[0], str) else ""
        if loop not in self._copy_indexes:
            raise UnknownValue("copyIndex")
        return self._copy_indexes[loop] + sum(one for one in arguments if isinstance(one, int))

    def _parameter(self, *arguments: Any) -> Any:
        name = _read_name("parameters", arguments)
        if name.lower() in self._values:
            return self._values[name.lower()]
        definition = _mapping(_find(self._parameters, name))
        if "defaultValue" not in definition:
            raise UnknownValue(f"parameter {name}")
        return self._evaluated(f"parameter {name}", definition["defaultValue"])

    def _variable(self, *arguments: Any) -> Any:
        name = _read_name("variables", arguments)
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


def _read_name(function: str, arguments: Sequence[Any]) -> str:
    if len(arguments) != 1:
        raise UnknownValue(f"function {function}")
    return str(arguments[0])


def add_template(context: ImportContext, tree: SourceTree, values: Mapping[str, Any]) -> list[tuple[str, SourceNode]]:
    """Add the template, and return type and node of each web test and alert."""
    template = ArmTemplate(tree.value, values, tree.file)
    resources = list(template.resources())
    document: dict[str, Any] = {}
    lines: dict[KeyPath, KeyPath] = {}
    for number, (path, kind, content) in enumerate(resources):
        key = f"{content.get('name', kind)}" if not isinstance(content.get("name"), UnresolvedText) else kind
        while key in document:
            key = f"{key} ({number})"
        document[key] = content
        lines[(key,)] = path
    others = _list_others(tree.value, {path[:2] for path, _, _ in resources})
    document.update(others)
    rebuilt = SourceTree(tree.file, document, lambda path: tree.line_of((*lines.get(path[:1], ()), *path[1:])))
    root = context.add_tree(rebuilt)
    for key in others:
        if (node := root.child(key)) is not None:
            context.use(node, _OTHER)
    kinds = [kind for _, kind, _ in resources]
    nodes: Sequence[SourceNode | None] = [root.child(key[0]) for key in lines]
    return [(kind, node) for kind, node in zip(kinds, nodes, strict=True) if node is not None]


def _list_others(document: Mapping[str, Any], imported: set[KeyPath]) -> dict[str, str]:
    """Return a line for each other part of the template."""
    others: dict[str, str] = {}
    for key, value in document.items():
        if key == "resources":
            entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            for index, resource in entries:
                if ("resources", index) not in imported and isinstance(resource, dict):
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
