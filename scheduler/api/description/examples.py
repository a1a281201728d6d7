"""Examples of requests and responses, built from their schemas, and an example request of each operation.

A model gives its whole example (`examples`), or some fields of it (scheduler.model_base.example_values). Of the
others each gets a value by its name and type. Tests validate every example by its model, and send the requests.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from scheduler.model_base import EXAMPLE_VALUES

_REF = "#/components/schemas/"

VALUES: Final[dict[str, Any]] = {
    "id": "checkout-api@20261128T090000.000Z",
    "job": "checkout-api",
    "jobs": "checkout-api",
    "name": "checkout-api",
    "host": "checkout.example.com",
    "key": "checkout-api",
    "endpoint": "https://checkout.example.com/health",
    "generation": "dc29db1e9d4c",
    "version": "TLSv1.3",
    "run_id": "checkout-api@20261128T090000.000Z",
    "correlation_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "source": "config/jobs/checkout.yaml:12",
    "address": "203.0.113.7",
    "schedule": "every 5m",
    "error": None,
    "dependents": "checkout-flow",
    "url": "/api/jobs/checkout-api",
    "reason": "deployment of checkout",
    "due_at": "2026-11-28T09:00:00Z",
    "started_at": "2026-11-28T09:00:00.004Z",
    "finished_at": "2026-11-28T09:00:00.120Z",
    "outcome": "succeeded",
    "status_code": 200,
    "definition": {"check": {"url": "https://checkout.example.com/health"}, "schedule": "every 5m"},
}
"""Values by the name of a field, where its type allows them."""

INSTANT: Final = "2026-11-28T09:00:00Z"
_BY_TYPE: Final[dict[str, Any]] = {"string": "", "integer": 1, "number": 12.5, "boolean": False, "null": None}


class ExampleBuilder:
    """Builds an example of each schema once. `components`: what was built, by the name of its schema."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas
        self._in_progress: list[str] = []
        self.components: dict[str, dict[str, Any]] = {}

    def add_example(self, content: dict[str, Any]) -> None:
        """Add the example of a request or response body, unless it has one."""
        schema = content.get("schema", {})
        names = [each["$ref"].removeprefix(_REF) for each in (schema, *schema.get("anyOf", ())) if "$ref" in each]
        if {"example", "examples"} & set(content):
            return
        if not names:
            if schema.get("type") in ("object", "array"):
                content["example"] = self._build(schema, "")
            return
        for name in names:
            if name not in self.components:
                self.components[name] = {"value": self._build_named(name, "")}
        keys = names if len(names) > 1 else ["example"]
        references = [{"$ref": f"#/components/examples/{name}"} for name in names]
        content["examples"] = dict(zip(keys, references, strict=True))

    def add_parameter_example(self, parameter: dict[str, Any]) -> None:
        """Add the example of a parameter that a request needs, unless it has one."""
        if parameter.get("required") and not parameter["schema"].get("examples"):
            parameter["schema"]["examples"] = [self._build(parameter["schema"], parameter["name"])]

    def _build(self, schema: dict[str, Any], name: str) -> Any:
        """Return an example of the schema. `name`: of the field."""
        if "$ref" in schema:
            return self._build_named(schema["$ref"].removeprefix(_REF), name)
        if schema.get("examples"):
            return schema["examples"][0]
        variants = schema.get("anyOf") or schema.get("oneOf") or []
        types = self._types_of(schema, *variants)
        if name in VALUES and _type_name(VALUES[name]) in types:
            return VALUES[name]
        for constant in ("const", "default"):
            if constant in schema:
                return schema[constant]
        if "enum" in schema:
            return schema["enum"][0]
        if "null" in types:
            is_simple = all("$ref" not in each and each.get("format") != "date-time" for each in variants)
            return None if is_simple else self._build(variants[0], name)
        if variants:
            return self._build(variants[0], name)
        return self._build_of_type(schema, types[0] if types else "object", name)

    def _types_of(self, *schemas: dict[str, Any]) -> list[str]:
        found: list[str] = []
        for each in schemas:
            kinds = (self._schemas[each["$ref"].removeprefix(_REF)] if "$ref" in each else each).get("type", [])
            found += [kinds] if isinstance(kinds, str) else kinds
        return found

    def _build_named(self, schema: str, name: str) -> Any:
        if schema in self._in_progress:  # it contains itself
            return None
        self._in_progress.append(schema)
        try:
            return self._build(self._schemas[schema], name)
        finally:
            self._in_progress.pop()

    def _build_of_type(self, schema: dict[str, Any], kind: str, name: str) -> Any:
        if kind == "object":
            return self._build_object(schema)
        if kind == "array":
            return [self._build(schema.get("items", {}), name)]
        if schema.get("format") == "date-time":
            return INSTANT
        return max(_BY_TYPE[kind], schema["minimum"]) if "minimum" in schema else _BY_TYPE[kind]

    def _build_object(self, schema: dict[str, Any]) -> dict[str, Any]:
        own = dict(schema.get(EXAMPLE_VALUES, ()))
        values = schema.get("additionalProperties")
        if "properties" not in schema:
            return {"team": "payments"} if isinstance(values, dict) and values.get("type") == "string" else {}
        return {key: own[key] if key in own else self._build(each, key) for key, each in schema["properties"].items()}


def _type_name(value: object) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


BASE_URL: Final = "$SCHEDULER"
CREDENTIAL: Final = "$AUTH"
"""Variables of the shell in a curl line: the URL of the scheduler, and a header with the credential."""


@dataclass(frozen=True)
class RequestExample:
    """A request. `template`: the path with its parameters. `body`: JSON, or None."""

    operation_id: str
    scope: str
    method: str
    template: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    def curl_line(self) -> str:
        """Return a command for a POSIX shell."""
        words = ["curl"]
        if self.method != "GET":
            words.append(f"-X {self.method}")
        words.append(f'"{BASE_URL}{self.path}"')
        if self.scope not in ("public", "ping"):
            words.append(f'-H "{CREDENTIAL}"')
        words += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers.items()]
        if self.body is not None:
            words.append(f"-d {shlex.quote(json.dumps(self.body, ensure_ascii=False))}")
        return " ".join(words)


def request_examples(document: dict[str, Any]) -> Iterator[RequestExample]:
    """Yield the request of each operation. Raises ValueError if a parameter or a body has no example."""
    for template, methods in document["paths"].items():
        for method, operation in methods.items():
            yield _create_example(document, template, method.upper(), operation)


def _create_example(document: dict[str, Any], template: str, method: str, operation: dict[str, Any]) -> RequestExample:
    values = {
        place: {
            each["name"]: _parameter_example(each, operation["operationId"])
            for each in operation.get("parameters", ())
            if each["in"] == place and (each.get("required") or (place == "header" and _has_example(each)))
        }
        for place in ("path", "query", "header")
    }
    path = template
    for name, value in values["path"].items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe="@:"))
    query = f"?{urlencode(values['query'])}" if values["query"] else ""
    media_type, body = _body_example(document, operation)
    headers = {name: str(value) for name, value in values["header"].items()}
    if media_type:
        headers["Content-Type"] = media_type
    return RequestExample(operation["operationId"], operation["x-scope"], method, template, path + query, headers, body)


def _has_example(parameter: dict[str, Any]) -> bool:
    return "example" in parameter or "examples" in parameter["schema"]


def _parameter_example(parameter: dict[str, Any], operation_id: str) -> Any:
    for found in ([parameter.get("example")], parameter["schema"].get("examples", ())):
        if found and found[0] is not None:
            return found[0]
    raise ValueError(f"parameter {parameter['name']} of {operation_id} has no example")


def _body_example(document: dict[str, Any], operation: dict[str, Any]) -> tuple[str, Any]:
    """Return the media type and the example of the body; nothing without a body."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        return media_type, content_example(document, content, operation["operationId"])
    return "", None


def content_example(document: dict[str, Any], content: dict[str, Any], owner: str) -> Any:
    """Return the example of the content of a request or response. Raises ValueError without one."""
    if "example" in content:
        return content["example"]
    for example in content.get("examples", {}).values():
        reference = example.get("$ref", "").rpartition("/")[2]
        return (document["components"]["examples"][reference] if reference else example)["value"]
    raise ValueError(f"a body of {owner} has no example")
