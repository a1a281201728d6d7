"""Values of secrets are in no result of an import."""

from __future__ import annotations

import json

import pytest

from importers.http_requests import put_body, put_header, put_url
from importers.import_context import ImportContext
from importers.ledger import JobDraft
from importers.report import create_report
from importers.running import validate_drafts
from importers.source_tree import SourceNode, SourceTree

SECRET = "sesame-open-4711"


def _start() -> tuple[ImportContext, JobDraft, SourceNode]:
    context = ImportContext()
    root = context.add_tree(SourceTree("file", {"value": "x"}))
    draft = context.new_job("shop", root)
    draft.put("check", {"kind": "http", "url": "https://shop.example/"})
    return context, draft, root


def _written(context: ImportContext) -> str:
    validate_drafts(context)
    report = create_report("test", context)
    text = report.text + json.dumps(report.to_json())
    assert SECRET not in text
    return text


@pytest.mark.parametrize(
    "url",
    [
        f"https://probe:{SECRET}@shop.example/health",
        f"https://shop.example/health?a=1&token={SECRET}",
        f"https://shop.example/health?api_key={SECRET}#part",
    ],
)
def test_of_a_url(url: str) -> None:
    context, draft, node = _start()
    put_url(context, draft, url, node)
    assert draft.get("check.url").startswith("https://shop.example/health")
    assert "secret: shop-" in _written(context)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", f"Bearer {SECRET}"),
        ("authorization", "Basic cHJvYmU6c2VzYW1lLW9wZW4tNDcxMQ=="),
        ("Authorization", f"Signature {SECRET}"),
        ("X-API-Key", SECRET),
        ("Cookie", f"session={SECRET}"),
        ("X-Custom", f"Token {SECRET}"),
    ],
)
def test_of_a_header(name: str, value: str) -> None:
    context, draft, node = _start()
    put_header(context, draft, name, value, node)
    text = _written(context)
    assert "cHJvYmU6" not in text
    assert "secret: shop-" in text


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        (f"user=probe&password={SECRET}", "application/x-www-form-urlencoded"),
        (f'{{"user": {{"password": "{SECRET}"}}}}', "application/json"),
        (f"password={SECRET}", ""),
    ],
)
def test_of_a_body(text: str, content_type: str) -> None:
    context, draft, node = _start()
    put_body(context, draft, text, content_type, node)
    assert "secret: shop-" in _written(context)


def test_equal_values_have_one_name_and_variables_name_themselves() -> None:
    context = ImportContext()
    reference = context.secrets.reference
    assert reference(SECRET, "a", "p") == reference(SECRET, "b", "p") == {"secret": "a"}
    assert reference("other", "a", "p") == {"secret": "a-2"}
    assert reference("${SHOP_TOKEN}", "a", "p") == {"secret": "shop-token"}


def test_a_secret_that_is_also_part_of_a_plain_text_is_removed_there() -> None:
    context, draft, node = _start()
    put_header(context, draft, "X-API-Key", SECRET, node)
    draft.put("description", f"the key is {SECRET}", node)
    draft.expect({"body_contains": f"key {SECRET}"}, node)
    assert "it contains the value of the secret shop-x-api-key" in _written(context)
    assert "description" not in draft.definition


def test_a_secret_over_plain_http_is_allowed_and_reported() -> None:
    context, draft, node = _start()
    put_url(context, draft, "http://shop.example/", node)
    put_header(context, draft, "X-API-Key", SECRET, node)
    assert "sends a secret over plain http" in _written(context)
    assert draft.definition["check"]["allow_plain_http"] is True


def test_texts_are_redacted_in_one_pass_however_many_secrets_there_are() -> None:
    secrets = ImportContext().secrets
    for number in range(2000):
        secrets.reference(f"value-{number:05}-{number}", f"name-{number}", "p")
    secrets.reference("value-00001-1-longer", "longer", "p")
    assert secrets.redact("a value-00007-7, value-00001-1-longer.") == "a (secret name-7), (secret longer)."
    assert secrets.find_value_in({"a": ["x", "y value-01999-1999"]}) == "name-1999"
    assert secrets.find_value_in({"secret": "value-00007-7"}) is None
    assert secrets.redact("value") == "value"
