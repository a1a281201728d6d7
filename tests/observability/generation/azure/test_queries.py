from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from observability.generation.azure.target import generate_documents
from observability.generation.kql import scheduler
from observability.generation.kql.runs import make_table, quote, quote_list, scope_of_rule
from observability.generation.portfolio import Portfolio
from scheduler.watchdog.report import WATCHDOG_GAUGES
from tests.docs.pages import TEXTS
from tests.observability.generation.azure.portfolios import HOSTILE, SHOP, job
from tests.observability.generation.azure.queries import fill_in, queries_of
from tests.parts.kusto import find_diagnostics

HOSTILE_TEXTS = ["".join(map(chr, range(0x250))), HOSTILE, "\ud800", "\U0001f600", '"', "\\", '\\\\"', "*/ ''' ```"]


def test_every_generated_and_documented_query_is_valid_and_planted_mistakes_are_found() -> None:
    documented = re.findall(r"```kusto\n(.*?)```", "\n".join(TEXTS.values()), re.DOTALL)
    generated = [*queries_of([*generate_documents(SHOP), *generate_documents(Portfolio())]), *documented]
    hostile = [f"print x = {quote(text)}" for text in HOSTILE_TEXTS]
    tables = [make_table({"JobName": "string"}, []), f"customEvents | where name in ({quote_list([])})"]
    column = next(query for query in generated if "itemCount" in query)
    planted = [
        column.replace("itemCount", "itemNumber"),
        column.replace("sum(itemCount)", "sum(name)"),
        column.replace("sum(itemCount)", "total(itemCount)"),
    ]
    found = find_diagnostics([*generated, *hostile, *tables, *planted])
    faulty = {query: diagnostics for query, diagnostics in zip(generated, found, strict=False) if diagnostics}
    assert faulty == {}
    assert len(generated) >= 40
    assert len(documented) >= 3
    assert found[len(generated) : -len(planted)] == [()] * (len(hostile) + len(tables))
    wrong_column, wrong_argument, wrong_function = found[-len(planted) :]
    assert {each.text for each in wrong_column} == {"itemNumber"}
    assert wrong_argument[0].code == "KS138"
    assert "total" in wrong_function[0].text


@settings(max_examples=50)
@given(st.text())
def test_a_quoted_text_is_one_literal_of_printable_characters(text: str) -> None:
    literal = quote(text)
    assert json.loads(literal) == text
    assert re.fullmatch(r'"(?:[ !#-\[\]-~]|\\["\\nrtu])*"', literal)


def test_hostile_names_of_services_and_tags_appear_as_literals_only() -> None:
    shop = Portfolio((job("checkout", team=HOSTILE),), service=HOSTILE, environment="prod")
    queries = queries_of(generate_documents(shop))
    assert all(HOSTILE not in query for query in queries)
    assert any(f"cloud_RoleName == {fill_in(quote(HOSTILE))}" in query for query in queries)


def test_the_gauges_of_queries_are_those_of_the_watchdog() -> None:
    known = {gauge.name for gauge in WATCHDOG_GAUGES}
    used = {value for name, value in vars(scheduler).items() if name.isupper() and isinstance(value, str)}
    assert used - {scheduler.GAUGE_PREFIX} <= known


def test_missing_gauges_have_a_row_even_without_any_data() -> None:
    query = scheduler.find_missing_gauges(scope_of_rule("15m"))
    summarize = next(step for step in query.split("\n| ") if step.startswith("summarize"))
    assert " by " not in summarize
    assert query.endswith("| where Received == 0")
