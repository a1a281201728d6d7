"""The check of PostgreSQL against a real server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from jobs.runs import ErrorClass
from tests.jobs.checks.databases.driver import observe, observe_for, wait_until_shown
from tests.parts.databases import PASSWORD, DatabaseServer, running_postgres


async def test_a_primary_tells_its_role_version_and_phases(postgres: DatabaseServer) -> None:
    seen = await observe("postgres", postgres.port, role="primary", statement="SELECT 41 + 1 AS answer")
    assert (seen.error, seen.message) == (None, "")
    assert json.loads(seen.body) == {"rows": [{"answer": 42}]}
    assert seen.facts["role"] == "primary"
    assert seen.facts["server_version"][0].isdigit()
    assert seen.facts["tls_version"] == "TLSv1.3"
    assert seen.facts["row_count"] == 1
    assert seen.facts["sign_in_ms"] > 0
    assert seen.facts["statement_ms"] > 0
    assert seen.certificates
    assert seen.phases.connect_ms is not None
    assert seen.phases.first_byte_ms is not None


async def test_columns_of_json_and_arrays_are_json(postgres: DatabaseServer) -> None:
    statement = """SELECT '{"a": [1, null]}'::jsonb AS document, ARRAY[1, 2] AS numbers"""
    seen = await observe("postgres", postgres.port, statement=statement)
    assert json.loads(seen.body) == {"rows": [{"document": {"a": [1, None]}, "numbers": [1, 2]}]}


async def test_a_wrong_password_is_an_auth_failure_without_the_password(postgres: DatabaseServer) -> None:
    seen = await observe("postgres", postgres.port, secret="canary-wrong")
    assert seen.error is ErrorClass.AUTH_FAILED
    assert "monitor" in seen.message
    assert "canary" not in seen.message


async def test_a_replica_is_read_only_where_the_primary_is_expected(postgres: DatabaseServer, tmp_path: Path) -> None:
    with running_postgres(tmp_path / "server", replica_of=postgres) as replica:
        seen = await observe("postgres", replica.port, role="primary")
        fine = await observe("postgres", replica.port, role="replica")
    assert seen.error is ErrorClass.READ_ONLY
    assert "is a replica or read-only, expected the primary" in seen.message
    assert fine.error is None
    assert fine.facts["replication_lag"] >= 0


async def test_a_replica_whose_replication_has_stopped_does_not_claim_to_be_current(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "primary") as primary:
        primary.run("CREATE TABLE t (x int)")
        with running_postgres(tmp_path / "replica", replica_of=primary) as replica:
            primary.run("INSERT INTO t VALUES (1)")
            await wait_until_shown(replica, "SELECT count(*) FROM t", "1")
            current = await observe("postgres", replica.port, role="replica")
            primary.kill()
            await wait_until_shown(replica, "SELECT count(*) FROM pg_stat_wal_receiver", "0")
            stopped = await observe("postgres", replica.port, role="replica")
    assert current.facts["replication_lag"] == 0
    assert stopped.facts["replication_lag"] > 0, "since the last change that has arrived"


async def test_a_password_that_the_job_does_not_have_is_an_auth_failure(postgres: DatabaseServer) -> None:
    seen = await observe("postgres", postgres.port, password=None)
    assert seen.error is ErrorClass.AUTH_FAILED
    assert "password authentication failed" in seen.message


async def test_a_full_server_has_too_many_connections(postgres: DatabaseServer) -> None:
    postgres.run("ALTER ROLE monitor CONNECTION LIMIT 0")
    try:
        seen = await observe("postgres", postgres.port)
    finally:
        postgres.run("ALTER ROLE monitor CONNECTION LIMIT -1")
    assert seen.error is ErrorClass.TOO_MANY_CONNECTIONS


async def test_the_server_ends_a_slow_statement(postgres: DatabaseServer) -> None:
    seen = await observe("postgres", postgres.port, statement="SELECT pg_sleep(20)", statement_timeout=0.2)
    assert seen.error is ErrorClass.RESPONSE_TIMEOUT
    assert "ended the statement after 0.2 s" in seen.message


async def test_the_deadline_of_the_attempt_names_the_statement(postgres: DatabaseServer) -> None:
    error, message = await observe_for(1.0, "postgres", postgres.port, statement="SELECT pg_sleep(20)")
    assert error is ErrorClass.RESPONSE_TIMEOUT
    assert message.startswith("The statement on localhost:")


async def test_a_statement_cannot_write(postgres: DatabaseServer) -> None:
    postgres.run("CREATE TABLE IF NOT EXISTS written (x int); GRANT ALL ON written TO monitor")
    statement = "WITH added AS (INSERT INTO written VALUES (1) RETURNING x) SELECT * FROM added"
    seen = await observe("postgres", postgres.port, statement=statement)
    assert seen.error is ErrorClass.STATEMENT_FAILED
    assert "read-only transaction" in seen.message
    assert postgres.run("SELECT count(*) FROM written").strip() == "0"


async def test_more_rows_than_allowed_fail(postgres: DatabaseServer) -> None:
    seen = await observe("postgres", postgres.port, statement="SELECT generate_series(1, 50)", max_rows=10)
    assert seen.error is ErrorClass.PROTOCOL_ERROR
    assert "more than 10 rows" in seen.message


async def test_an_answer_of_many_bytes_is_not_read(postgres: DatabaseServer) -> None:
    seen = await observe("postgres", postgres.port, statement="SELECT repeat('x', 50000000)")
    assert seen.error is ErrorClass.PROTOCOL_ERROR
    assert "sent more than 4 MiB" in seen.message


async def test_an_unknown_database_is_named(postgres: DatabaseServer) -> None:
    seen = await observe("postgres", postgres.port, database="nowhere")
    assert seen.error is ErrorClass.STATEMENT_FAILED
    assert 'database "nowhere" does not exist' in seen.message


async def test_a_certificate_of_another_authority_is_refused_before_the_password(postgres: DatabaseServer) -> None:
    seen = await observe("postgres", postgres.port, tls={})
    assert seen.error is ErrorClass.TLS_CERTIFICATE


async def test_a_token_of_the_identity_takes_the_place_of_the_password(postgres: DatabaseServer) -> None:
    scope = "https://ossrdbms-aad.database.windows.net/.default"
    seen = await observe("postgres", postgres.port, password=None, entra=True, tokens={scope: PASSWORD})
    assert seen.error is None
    absent = await observe("postgres", postgres.port, password=None, entra=True)
    assert absent.error is ErrorClass.TOKEN_UNAVAILABLE


async def test_a_server_that_is_killed_in_the_middle_resets(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "server") as server:
        task = asyncio.ensure_future(observe("postgres", server.port, statement="SELECT pg_sleep(20)"))
        await wait_until_shown(server, "SELECT query FROM pg_stat_activity WHERE usename = 'monitor'", "pg_sleep")
        server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'monitor'")
        seen = await task
        down = server.port
    gone = await observe("postgres", down)
    assert seen.error is ErrorClass.CONNECTION_RESET
    assert gone.error is ErrorClass.CONNECTION_REFUSED
