"""The check of SQL Server against a double of its sign-in: no SQL Server can be installed here."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from jobs.runs import ErrorClass
from tests.jobs.checks.databases.driver import make_target, observe, observe_for
from tests.parts.databases import PASSWORD
from tests.parts.tds_server import TdsServer

PRIMARY = {"Updateability": [["16.0.4135.4", "READ_WRITE"]]}
REPLICA = {"Updateability": [["16.0.4135.4", "READ_ONLY"]]}


async def test_a_primary_tells_its_role_version_and_rows() -> None:
    rows = {**PRIMARY, "FROM orders": [[7, "new"], [2, "late"]]}
    async with TdsServer([PASSWORD], rows=rows) as server:
        seen = await observe(
            "sqlserver", server.port, database="shop", role="primary", statement="SELECT n, state FROM orders"
        )
    assert (seen.error, seen.message) == (None, "")
    assert json.loads(seen.body) == {"rows": [{"c1": 7, "c2": "new"}, {"c1": 2, "c2": "late"}]}
    assert (seen.facts["role"], seen.facts["server_version"]) == ("primary", "16.0.4135.4")
    assert seen.facts["tls_version"] == "TLSv1.2"
    assert server.batches[-1] == "ROLLBACK"
    assert server.read_intents == [False]


async def test_a_wrong_password_is_an_auth_failure() -> None:
    async with TdsServer([PASSWORD]) as server:
        seen = await observe("sqlserver", server.port, secret="canary-wrong")
    assert seen.error is ErrorClass.AUTH_FAILED
    assert "monitor" in seen.message
    assert "canary" not in seen.message


@pytest.mark.parametrize(
    ("number", "text", "error"),
    [
        (40613, "Database 'shop' on server 'srv' is not currently available.", ErrorClass.PAUSED),
        (10928, "Resource ID : 1. The request limit for the database is 30.", ErrorClass.TOO_MANY_CONNECTIONS),
        (40615, "Cannot open server 'srv' requested by the login. Client is not allowed.", ErrorClass.AUTH_FAILED),
        (40501, "The service is currently busy.", ErrorClass.CONNECTION_FAILED),
        (4060, 'Cannot open database "shop" requested by the login.', ErrorClass.STATEMENT_FAILED),
    ],
)
async def test_a_refusal_has_a_class_of_its_own(number: int, text: str, error: ErrorClass) -> None:
    async with TdsServer([PASSWORD], error=(number, text)) as server:
        seen = await observe("sqlserver", server.port)
    assert seen.error is error
    assert text.rstrip(".") in seen.message


async def test_a_replica_is_read_only_where_the_primary_is_expected() -> None:
    async with TdsServer([PASSWORD], rows=REPLICA) as server:
        seen = await observe("sqlserver", server.port, role="primary")
        fine = await observe("sqlserver", server.port, role="replica")
    assert seen.error is ErrorClass.READ_ONLY
    assert fine.error is None
    assert server.read_intents == [False, True]


async def test_a_token_of_the_identity_takes_the_place_of_the_password() -> None:
    scope = "https://database.windows.net/.default"
    async with TdsServer(["a-token"], rows=PRIMARY) as server:
        seen = await observe("sqlserver", server.port, password=None, entra=True, tokens={scope: "a-token"})
    assert (seen.error, seen.message) == (None, "")
    assert server.tokens == ["a-token"]


async def test_a_certificate_of_another_authority_is_refused_before_the_password() -> None:
    async with TdsServer([PASSWORD]) as server:
        seen = await observe("sqlserver", server.port, tls={})
    assert seen.error is ErrorClass.TLS_CERTIFICATE
    assert server.read_intents == []


async def test_a_server_without_tls_gets_no_password() -> None:
    async with TdsServer([PASSWORD], with_tls=False) as server:
        seen = await observe("sqlserver", server.port)
        plain = await observe("sqlserver", server.port, tls="none")
    assert seen.error is ErrorClass.TLS_FAILURE
    assert plain.error is not ErrorClass.AUTH_FAILED
    assert len(server.read_intents) == 1


async def test_a_redirect_to_another_domain_gets_no_password() -> None:
    async with TdsServer([PASSWORD], route=("node.elsewhere.invalid", 11000)) as server:
        seen = await observe("sqlserver", server.port)
    assert seen.error is ErrorClass.TARGET_DENIED
    assert "node.elsewhere.invalid" in seen.message


async def test_a_slow_statement_ends_after_its_timeout() -> None:
    async with TdsServer([PASSWORD], rows=PRIMARY, silent_after="WAIT_HERE") as server:
        seen = await observe("sqlserver", server.port, statement="SELECT 'WAIT_HERE'", statement_timeout=0.2)
    assert seen.error is ErrorClass.RESPONSE_TIMEOUT


async def test_the_deadline_of_the_attempt_names_the_statement() -> None:
    async with TdsServer([PASSWORD], rows=PRIMARY, silent_after="WAIT_HERE") as server:
        error, message = await observe_for(0.5, "sqlserver", server.port, statement="SELECT 'WAIT_HERE'")
    assert error is ErrorClass.RESPONSE_TIMEOUT
    assert message.startswith("The statement on localhost:")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 /* ' */ DELETE t COMMIT /* ' */",
        "SELECT 1 -- '\nDELETE t COMMIT -- '",
        "SELECT 1 AS [a]]'] DELETE t COMMIT SELECT ''",
        "SELECT 1 COMMIT DROP TABLE t",
        "SELECT 1 EXEC xp_cmdshell 'x'",
        "SELECT 1; SELECT 2",
        "UPDATE t SET x = 1",
    ],
)
def test_a_statement_that_may_write_is_refused(statement: str) -> None:
    with pytest.raises(ValidationError):
        make_target("sqlserver", 1433, statement=statement)


def test_words_in_quotes_are_no_statements() -> None:
    assert make_target("sqlserver", 1433, statement="SELECT [update] FROM t WHERE kind = 'drop'").statement
