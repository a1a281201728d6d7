"""An example request of each operation, from the examples in the document.

Called by scheduler.api.dashboard.reference.reference_page and tools.openapi.documents; tests send the requests.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

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
