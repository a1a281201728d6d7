"""The check of MySQL against MariaDB."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from jobs.runs import ErrorClass
from tests.jobs.checks.databases.driver import observe, observe_for, wait_until_shown
from tests.parts.databases import PASSWORD, DatabaseServer, running_mariadb


async def test_a_primary_tells_its_role_and_rows(mariadb: DatabaseServer) -> None:
    seen = await observe("mysql", mariadb.port, database="shop", role="primary", statement="SELECT 42 AS answer, 'a' b")
    assert (seen.error, seen.message) == (None, "")
    assert json.loads(seen.body) == {"rows": [{"answer": 42, "b": "a"}]}
    assert "MariaDB" in seen.facts["server_version"]
    assert seen.facts["tls_version"] == "TLSv1.3"


async def test_a_wrong_password_is_an_auth_failure(mariadb: DatabaseServer) -> None:
    seen = await observe("mysql", mariadb.port, secret="canary-wrong")
    assert seen.error is ErrorClass.AUTH_FAILED
    assert "monitor" in seen.message
    assert "canary" not in seen.message


async def test_a_password_beyond_latin_1_signs_in(mariadb: DatabaseServer) -> None:
    password = "p\u00e4ss\u20ac'\"\\\\;--{}%s"
    mariadb.run("CREATE USER wide IDENTIFIED BY 'p\u00e4ss\u20ac\\'\"\\\\\\\\;--{}%s'")
    seen = await observe("mysql", mariadb.port, user="wide", secret=password, statement=None)
    assert seen.error is None, seen.message


async def test_a_token_of_the_identity_takes_the_place_of_the_password(mariadb: DatabaseServer) -> None:
    tokens = {"https://ossrdbms-aad.database.windows.net/.default": PASSWORD}
    seen = await observe("mysql", mariadb.port, password=None, entra=True, tokens=tokens)
    assert seen.error is None


async def test_a_locked_account_is_an_auth_failure(mariadb: DatabaseServer) -> None:
    mariadb.run("ALTER USER monitor@'%' ACCOUNT LOCK")
    try:
        seen = await observe("mysql", mariadb.port)
    finally:
        mariadb.run("ALTER USER monitor@'%' ACCOUNT UNLOCK")
    assert seen.error is ErrorClass.AUTH_FAILED
    assert "locked" in seen.message


async def test_a_server_that_refuses_to_write_is_read_only(mariadb: DatabaseServer) -> None:
    mariadb.run("SET GLOBAL read_only = 1")
    try:
        seen = await observe("mysql", mariadb.port, role="primary")
    finally:
        mariadb.run("SET GLOBAL read_only = 0")
    assert seen.error is ErrorClass.READ_ONLY
    assert "is a replica or read-only, expected the primary" in seen.message


async def test_a_full_server_has_too_many_connections(mariadb: DatabaseServer) -> None:
    mariadb.run("ALTER USER monitor@'%' WITH MAX_USER_CONNECTIONS 1")
    try:
        slow = asyncio.ensure_future(observe("mysql", mariadb.port, statement="SELECT sleep(2)"))
        await wait_until_shown(
            mariadb, "SELECT info FROM information_schema.processlist WHERE user = 'monitor'", "sleep"
        )
        seen = await observe("mysql", mariadb.port)
        mariadb.run("KILL USER monitor")
        ended = await slow
    finally:
        mariadb.run("ALTER USER monitor@'%' WITH MAX_USER_CONNECTIONS 0")
    assert seen.error is ErrorClass.TOO_MANY_CONNECTIONS
    assert ended.error is ErrorClass.CONNECTION_RESET


async def test_the_server_ends_a_slow_statement(mariadb: DatabaseServer) -> None:
    columns = "information_schema.columns"
    statement = f"SELECT count(*) FROM {columns} a, {columns} b, {columns} c"
    seen = await observe("mysql", mariadb.port, statement=statement, statement_timeout=0.2)
    assert seen.error is ErrorClass.RESPONSE_TIMEOUT
    assert "ended the statement after 0.2 s" in seen.message


async def test_the_deadline_of_the_attempt_names_the_statement(mariadb: DatabaseServer) -> None:
    error, message = await observe_for(1.0, "mysql", mariadb.port, statement="SELECT sleep(4)")
    assert error is ErrorClass.RESPONSE_TIMEOUT
    assert message.startswith("The statement on localhost:")


async def test_a_statement_cannot_write(mariadb: DatabaseServer) -> None:
    mariadb.run("CREATE SEQUENCE IF NOT EXISTS shop.numbers; GRANT ALL ON shop.* TO monitor@'%'")
    seen = await observe("mysql", mariadb.port, statement="SELECT nextval(shop.numbers)")
    assert seen.error is ErrorClass.STATEMENT_FAILED
    assert "READ ONLY transaction" in seen.message


async def test_an_answer_of_many_bytes_is_not_read(mariadb: DatabaseServer) -> None:
    seen = await observe("mysql", mariadb.port, statement="SELECT repeat('x', 15000000)")
    assert seen.error is ErrorClass.PROTOCOL_ERROR
    assert "sent more than 4 MiB" in seen.message


async def test_a_certificate_of_another_authority_is_refused_before_the_password(mariadb: DatabaseServer) -> None:
    seen = await observe("mysql", mariadb.port, tls={})
    assert seen.error is ErrorClass.TLS_CERTIFICATE


async def test_a_server_that_is_gone_refuses_the_connection(tmp_path: Path) -> None:
    with running_mariadb(tmp_path / "server") as server:
        port = server.port
        server.kill()
        seen = await observe("mysql", port)
    assert seen.error is ErrorClass.CONNECTION_REFUSED
