"""The union of all entries of `expect`, discriminated by key. Used by jobs.definition and jobs.targets.steps."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from jobs.expectations.body import BodyContains, BodyContainsNot, BodyIs, BodyMatches, BodyMatchesNot
from jobs.expectations.cel import Cel
from jobs.expectations.digests import BodyHash
from jobs.expectations.dns import AnswersAre, RcodeIs
from jobs.expectations.errors import ErrorIs
from jobs.expectations.facts import FactIs
from jobs.expectations.headers import HeaderIs
from jobs.expectations.json_values import JsonIs
from jobs.expectations.sizes import MaxBody, MinBody, Redirects, ResponseTimeBelow
from jobs.expectations.status import StatusIs, StatusIsNot
from jobs.expectations.tls import CertificateValidFor, HttpVersionIs, TlsIs, TlsVersionIs
from jobs.model import by_key

Expectation = Annotated[
    Annotated[StatusIs, Tag("status")]
    | Annotated[StatusIsNot, Tag("status_not")]
    | Annotated[ResponseTimeBelow, Tag("response_time_below")]
    | Annotated[BodyIs, Tag("body")]
    | Annotated[BodyContains, Tag("body_contains")]
    | Annotated[BodyContainsNot, Tag("body_not_contains")]
    | Annotated[BodyMatches, Tag("body_matches")]
    | Annotated[BodyMatchesNot, Tag("body_not_matches")]
    | Annotated[BodyHash, Tag("body_hash")]
    | Annotated[JsonIs, Tag("json")]
    | Annotated[HeaderIs, Tag("header")]
    | Annotated[MaxBody, Tag("max_body")]
    | Annotated[MinBody, Tag("min_body")]
    | Annotated[Redirects, Tag("redirects")]
    | Annotated[HttpVersionIs, Tag("http_version")]
    | Annotated[TlsIs, Tag("tls")]
    | Annotated[TlsVersionIs, Tag("tls_version")]
    | Annotated[CertificateValidFor, Tag("certificate_valid_for")]
    | Annotated[AnswersAre, Tag("answers")]
    | Annotated[RcodeIs, Tag("rcode")]
    | Annotated[ErrorIs, Tag("error")]
    | Annotated[FactIs, Tag("fact")]
    | Annotated[Cel, Tag("cel")],
    Discriminator(
        by_key(
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

MOST_ENTRIES = 50
"""Entries of one `expect`. They share one budget (budget.py)."""


def _not_too_many(value: Any) -> Any:
    # Before the entries are validated, as that takes time for each of them.
    if isinstance(value, (list, tuple)) and len(value) > MOST_ENTRIES:
        raise ValueError(
            f"has {len(value)} entries; at most {MOST_ENTRIES} are allowed: "
            "combine some in one entry (cel, or a pattern with |), or split the job"
        )
    return value


Expectations = Annotated[tuple[Expectation, ...], Field(max_length=MOST_ENTRIES), BeforeValidator(_not_too_many)]
"""A field `expect`."""
