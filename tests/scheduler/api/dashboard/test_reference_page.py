"""/api/docs: the OpenAPI document as a page."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.api.description.examples import request_examples
from scheduler.api.description.reference_page import describe_form
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, has_inline_code, visible_text


async def test_every_operation_has_a_section_with_its_command() -> None:
    async with ApiClient() as client:
        page = (await client.get("/api/docs")).text
        requests = list(request_examples((await client.get("/api/openapi.json")).json()))

    shown = visible_text(page)
    for request in requests:
        assert f'id="{request.operation_id}"' in page
        assert " ".join(request.curl_line().split()) in shown
    assert "Scope operate" in shown
    assert "The request has no valid credential with WWW-Authenticate" in shown


async def test_the_page_has_neither_inline_code_nor_files_of_other_hosts() -> None:
    async with ApiClient() as client:
        answer = await client.get("/api/docs")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not has_inline_code(answer.text)
    assert all(link.startswith(("/api/", "#")) for link in find_links(answer.text))


async def test_a_text_of_the_document_is_escaped() -> None:
    async with ApiClient() as client:
        client.app.openapi()["tags"][0]["description"] = "<script>alert(1)</script> and `a < b`"
        page = (await client.get("/api/docs")).text

    assert "&lt;script&gt;alert(1)&lt;/script&gt; and <code>a &lt; b</code>" in page


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "integer, 1 to 500, default 50"),
        ({"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]}, "string"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "enum": ["up", "down"]}, "string, up | down"),
        ({"type": ["string", "null"], "pattern": "^a$"}, "string"),
        (
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "default": []},
            "string, repeatable, a | b",
        ),
        ({"type": "string", "default": ""}, "string"),
        ({}, "string"),
    ],
)
def test_the_form_of_a_parameter_is_described(schema: dict[str, Any], form: str) -> None:
    assert describe_form(schema) == form
