"""The union of all entries of `expect`, discriminated by key. Used by jobs.definition and jobs.targets.steps."""

from __future__ import annotations

from typing import Annotated, Any

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
from jobs.expectations.entries.json_body import JsonEntry
from jobs.expectations.entries.limits import MaxBodyEntry, MinBodyEntry, RedirectsEntry, ResponseTimeBelowEntry
from jobs.expectations.entries.status import StatusEntry, StatusNotEntry
from jobs.expectations.entries.tls import CertificateValidForEntry, HttpVersionEntry, TlsEntry, TlsVersionEntry
from jobs.model_base import discriminate_by_key

Expectation = Annotated[
    Annotated[StatusEntry, Tag("status")]
    | Annotated[StatusNotEntry, Tag("status_not")]
    | Annotated[ResponseTimeBelowEntry, Tag("response_time_below")]
    | Annotated[BodyEntry, Tag("body")]
    | Annotated[BodyContainsEntry, Tag("body_contains")]
    | Annotated[BodyNotContainsEntry, Tag("body_not_contains")]
    | Annotated[BodyMatchesEntry, Tag("body_matches")]
    | Annotated[BodyNotMatchesEntry, Tag("body_not_matches")]
    | Annotated[BodyHashEntry, Tag("body_hash")]
    | Annotated[JsonEntry, Tag("json")]
    | Annotated[HeaderEntry, Tag("header")]
    | Annotated[MaxBodyEntry, Tag("max_body")]
    | Annotated[MinBodyEntry, Tag("min_body")]
    | Annotated[RedirectsEntry, Tag("redirects")]
    | Annotated[HttpVersionEntry, Tag("http_version")]
    | Annotated[TlsEntry, Tag("tls")]
    | Annotated[TlsVersionEntry, Tag("tls_version")]
    | Annotated[CertificateValidForEntry, Tag("certificate_valid_for")]
    | Annotated[AnswersEntry, Tag("answers")]
    | Annotated[RcodeEntry, Tag("rcode")]
    | Annotated[ErrorEntry, Tag("error")]
    | Annotated[FactEntry, Tag("fact")]
    | Annotated[CelEntry, Tag("cel")],
    Discriminator(
        discriminate_by_key(
            "status",
            "status_not",
            "response_time_below",
            "body",
            "body_contains",
            "body_not_contains",
            "body_matches",
            "body_not_matches",
            "body_hash",
            "json",
            "header",
            "max_body",
            "min_body",
            "redirects",
            "http_version",
            "tls",
            "tls_version",
            "certificate_valid_for",
            "answers",
            "rcode",
            "error",
            "fact",
            "cel",
        )
    ),
]
"""One entry of `expect`."""

MOST_EXPECTATIONS = 50
"""Entries of one `expect`. They share one budget (budget.py)."""


def _not_too_many(value: Any) -> Any:
    # Before the entries are validated, as that takes time for each of them.
    if isinstance(value, (list, tuple)) and len(value) > MOST_EXPECTATIONS:
        raise ValueError(
            f"has {len(value)} entries; at most {MOST_EXPECTATIONS} are allowed: "
            "combine some in one entry (cel, or a pattern with |), or split the job"
        )
    return value


Expectations = Annotated[tuple[Expectation, ...], Field(max_length=MOST_EXPECTATIONS), BeforeValidator(_not_too_many)]
"""A field `expect`."""
