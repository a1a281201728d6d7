"""The identity table: what each route answers to each principal. One row a route, one column a principal.

    tests/data/identity_table/statuses.tsv          # route <tab> none <tab> viewer ...; each cell a status, or 2xx
    read_table()["GET /api/jobs"]["viewer"]         # "2xx"
    write_table(lambda request, principal: "401")   # anew, by a rule; read the difference before you commit it
    missing_rows(read_table())                      # routes of the program without a row, and rows without a route

The requests are those of tests.parts.api_requests. Who the principals are, and what they get, is the business of
the test that sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from scheduler.api.description.examples import RequestExample
from tests.parts.api_requests import api_requests

TABLE_FILE = Path(__file__).resolve().parents[1] / "data" / "identity_table" / "statuses.tsv"
PRINCIPALS = (
    "none",
    "viewer",
    "operator",
    "admin",
    "other_tag",
    "expired",
    "revoked",
    "wrong_address",
    "forged_easy_auth",
    "wrong_audience",
    "wrong_issuer",
    "wrong_tenant",
    "expired_token",
    "alg_none",
    "hs256_with_public_key",
    "id_token",
    "rotated_jwks",
    "provider_unavailable",
)
Table = Mapping[str, Mapping[str, str]]


def row_name(request: RequestExample) -> str:
    return f"{request.method} {request.template}"


def read_table(file: Path = TABLE_FILE) -> Table:
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    principals = head.split("\t")[1:]
    rows = [line.split("\t") for line in lines]
    return {route: dict(zip(principals, statuses, strict=True)) for route, *statuses in rows}


def write_table(expect: Callable[[RequestExample, str], str], file: Path = TABLE_FILE) -> None:
    rows = [
        (row_name(request), *(expect(request, principal) for principal in PRINCIPALS))
        for request in sorted(api_requests(), key=row_name)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join("\t".join(row) + "\n" for row in [("route", *PRINCIPALS), *rows]), encoding="utf-8")


def missing_rows(table: Table) -> set[str]:
    """Routes without a row, and rows without a route."""
    return {row_name(request) for request in api_requests()} ^ set(table)
