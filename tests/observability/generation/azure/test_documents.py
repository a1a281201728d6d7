from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from observability.generation.azure.target import escape_expressions, generate_documents
from observability.generation.document import GeneratedDocument
from observability.generation.portfolio import Portfolio
from tests.observability.generation.azure.models import PlaceOfResources, Rule, Template, WorkbookResource
from tests.observability.generation.azure.portfolios import HOSTILE, SHOP, job


def model_of(document: GeneratedDocument) -> type[BaseModel]:
    models = {"": Template, "workbooks": WorkbookResource, "scheduledQueryRules": Rule}
    return models.get(document.kind, PlaceOfResources)


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(item)


@pytest.mark.parametrize("shop", [SHOP, Portfolio(), Portfolio((job("a", team=HOSTILE),), HOSTILE, HOSTILE)])
def test_every_document_is_what_azure_accepts(shop: Portfolio) -> None:
    documents = generate_documents(shop)
    assert {document.kind for document in documents} == {
        "",
        "component",
        "actionGroups",
        "workbooks",
        "scheduledQueryRules",
    }
    for document in documents:
        model_of(document).model_validate_json(document.render())


def remove(*path: str | int) -> tuple[tuple[str | int, ...], Any]:
    return path, ...


@pytest.mark.parametrize(
    ("path", "mutation"),
    [
        ("scheduler-workbook.json", (("variables", "content", "items", 1, "type"), 7)),
        ("scheduler-workbook.json", (("resources", 0, "apiVersion"), "2031-01-01")),
        ("scheduler-alerts.json", (("resources", 0, "properties", "severity"), 5)),
        ("scheduler-alerts.json", remove("resources", 0, "properties", "criteria")),
        ("resources/workbook.json", (("properties", "serializedData", "items", 3, "content", "items", 0, "type"), 8)),
        ("resources/rules/shop-prod-dead-letters.json", (("properties", "windowSize"), "PT61M")),
    ],
)
def test_a_mutation_of_a_document_is_found(path: str, mutation: tuple[tuple[str | int, ...], Any]) -> None:
    document = next(each for each in generate_documents(SHOP) if each.path == path)
    (*steps, last), value = mutation
    changed = at = copy.deepcopy(document.value)
    for step in steps:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    with pytest.raises(ValidationError):
        model_of(document).model_validate_json(json.dumps(changed))


def test_a_template_has_no_expression_but_those_of_the_generator() -> None:
    hostile = "[parameters('x')]"
    shop = Portfolio((job("a", groups=(hostile,), team=hostile),), hostile, hostile)
    for document in (each for each in generate_documents(shop) if not each.kind):
        found = {text for text in texts_of(document.value) if re.fullmatch(r"\[(?!\[).*\]", text, re.DOTALL)}
        own = re.compile(
            r"\[(?:parameters\('\w+'\)|resourceGroup\(\)\.location|string\(variables\('content'\)\)"
            r"|resourceId\('[\w./]+', '[\w.-]+'\))\]"
        )
        assert [text for text in found if not own.fullmatch(text)] == []


def test_a_text_in_brackets_is_escaped_at_any_depth() -> None:
    value = {"a": ["[x]", {"b": "[y"}], "c": 1}
    assert escape_expressions(value) == {"a": ["[[x]", {"b": "[y"}], "c": 1}


def test_documents_are_the_same_each_time() -> None:
    first, second = ([each.render() for each in generate_documents(SHOP)] for _ in range(2))
    assert first == second


def test_each_environment_and_service_has_resources_of_its_own() -> None:
    shops = [Portfolio(environment=environment, service=service) for environment in "ab" for service in "cd"]
    names = [each.value["name"] for shop in shops for each in generate_documents(shop) if "tags" in each.value]
    assert len(set(names)) == len(names)


def test_what_is_generated_is_marked() -> None:
    for document in generate_documents(SHOP):
        if document.path.startswith("resources/"):
            assert document.value["tags"]["generated-by"] == "scheduler"
            assert document.value["tags"]["environment"] == "prod"


def test_templates_of_ten_thousand_jobs_are_accepted_by_size() -> None:
    jobs = tuple(job(f"job-{number:05}", groups=(f"group-{number % 50}",), team="a") for number in range(10_000))
    sizes = {each.path: len(each.render()) for each in generate_documents(Portfolio(jobs)) if not each.kind}
    assert max(sizes.values()) < 4_000_000
