"""All queries of generated documents, for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from observability.generation.azure.workbook_items import SAMPLE_VALUES
from observability.generation.document import GeneratedDocument, Json


def queries_of(documents: Sequence[GeneratedDocument]) -> list[str]:
    """Return each query once, with sample values of the workbook's parameters."""
    found = (fill_in(query) for document in documents for query in _find_queries(document.value))
    return list(dict.fromkeys(found))


def fill_in(query: str) -> str:
    for parameter, value in SAMPLE_VALUES.items():
        query = query.replace(parameter, value)
    return query


def _find_queries(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("query"), str) and value["query"]:
            yield value["query"]
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _find_queries(item)
