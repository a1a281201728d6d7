"""The union of all entries of `expect`, discriminated by key. Used by jobs.definition and jobs.targets.steps."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from jobs.expectations.entries.body import (
    BodyContainsEntry,
    BodyEntry,
    BodyMatchesEntry,
    BodyNotContainsEntry,
    BodyNotMatchesEntry,
)
from jobs.expectations.entries.body_hash import BodyHashEntry
from jobs.expectations.entries.cel import CelEntry
from jobs.expectations.entries.dns import AnswersEntry, RcodeEntry
from jobs.expectations.entries.error import ErrorEntry
from jobs.expectations.entries.fact import FactEntry
from jobs.expectations.entries.header import HeaderEntry
from jobs.expectations.entries.health import HealthDocumentEntry
from jobs.expectations.entries.json_body import JsonEntry
from jobs.expectations.entries.limits import MaxBodyEntry, MinBodyEntry, RedirectsEntry, ResponseTimeBelowEntry
from jobs.expectations.entries.rows import RowsEntry
from jobs.expectations.entries.status import StatusEntry, StatusNotEntry
from jobs.expectations.entries.tls import CertificateValidForEntry, HttpVersionEntry, TlsEntry, TlsVersionEntry
from jobs.expectations.entry import ExpectationEntry
from jobs.model_base import discriminate_by_key

ENTRIES: tuple[type[ExpectationEntry], ...] = (
    StatusEntry,
    StatusNotEntry,
    ResponseTimeBelowEntry,
    BodyEntry,
    BodyContainsEntry,
    BodyNotContainsEntry,
    BodyMatchesEntry,
    BodyNotMatchesEntry,
    BodyHashEntry,
    JsonEntry,
    HealthDocumentEntry,
    RowsEntry,
    HeaderEntry,
    MaxBodyEntry,
    MinBodyEntry,
    RedirectsEntry,
    HttpVersionEntry,
    TlsEntry,
    TlsVersionEntry,
    CertificateValidForEntry,
    AnswersEntry,
    RcodeEntry,
    ErrorEntry,
    FactEntry,
    CelEntry,
)
"""Every entry. A new one is a class in entries/, and its line here."""

if TYPE_CHECKING:
    Expectation = ExpectationEntry
else:
    Expectation = Annotated[
        reduce(or_, (Annotated[entry, Tag(entry.entry_key())] for entry in ENTRIES)),
        Discriminator(discriminate_by_key(*(entry.entry_key() for entry in ENTRIES))),
    ]
"""One entry of `expect`."""

MAX_EXPECTATIONS = 50
"""Entries of one `expect`. They share one budget (budget.py)."""


def _check_number_of_entries(value: Any) -> Any:
    # Before the entries are validated, as that takes time for each of them.
    if isinstance(value, (list, tuple)) and len(value) > MAX_EXPECTATIONS:
        raise ValueError(
            f"has {len(value)} entries; at most {MAX_EXPECTATIONS} are allowed: "
            "combine some in one entry (cel, or a pattern with |), or split the job"
        )
    return value


Expectations = Annotated[
    tuple[Expectation, ...], Field(max_length=MAX_EXPECTATIONS), BeforeValidator(_check_number_of_entries)
]
"""A field `expect`."""
