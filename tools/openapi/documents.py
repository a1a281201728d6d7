"""Writes docs/openapi.json and the operations of docs/api.md from the routes. Called by `./dev openapi`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from scheduler.api.app import describe_routes
from scheduler.api.description.examples import RequestExample, request_examples
from scheduler.version import VERSION

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs" / "openapi.json"
PAGE: Final = ROOT / "docs" / "api.md"
MARK: Final = "<!-- Below this line ./dev openapi writes the operations. -->\n"


def create_document_text() -> str:
    """Return the content of docs/openapi.json."""
    return json.dumps(describe_routes(VERSION), indent=1, ensure_ascii=False) + "\n"


def create_page_text(page: str) -> str:
    """Return the page with its current operations. `page`: the current page, whose part above the mark is retained."""
    return page.partition(MARK)[0] + MARK + "\n" + "\n".join(_operation_lines(describe_routes(VERSION)))


def _operation_lines(document: dict[str, Any]) -> Iterator[str]:
    examples = {each.operation_id: each for each in request_examples(document)}
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    for tag in document["tags"]:
        yield f"## {tag['name'].capitalize()}\n"
        yield f"{tag['description']}\n"
        for operation in operations:
            if tag["name"] in operation["tags"]:
                yield from _describe(operation, examples[operation["operationId"]])


def _describe(operation: dict[str, Any], example: RequestExample) -> Iterator[str]:
    yield f"### `{example.method} {example.template}`\n"
    first = " ".join(operation["description"].split("\n\n")[0].split())
    yield f"{first} Scope: {example.scope}.\n"
    yield f"```sh\n{example.curl_line()}\n```\n"


def main() -> None:
    DOCUMENT.write_text(create_document_text(), encoding="utf-8")
    PAGE.write_text(create_page_text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
