"""The check of Redis against Valkey."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from jobs.runs import ErrorClass
from tests.jobs.checks.databases.driver import observe
from tests.parts.databases import PASSWORD, DatabaseServer, running_valkey


async def test_a_primary_tells_its_role_and_the_length_of_a_list(valkey: DatabaseServer) -> None:
    valkey.run("RPUSH orders a b c")
    seen = await observe("redis", valkey.port, role="primary", command=["LLEN", "orders"])
    assert (seen.error, seen.message) == (None, "")
    assert json.loads(seen.body) == {"rows": [{"value": 3}]}
    assert seen.facts["role"] == "primary"
    assert seen.facts["server_version"].startswith("8.")
    assert seen.facts["tls_version"] == "TLSv1.3"


async def test_a_number_that_is_stored_as_text_is_a_number(valkey: DatabaseServer) -> None:
    valkey.run("SET waiting 17")
    seen = await observe("redis", valkey.port, command=["GET", "waiting"])
    assert json.loads(seen.body) == {"rows": [{"value": 17}]}


async def test_a_wrong_password_is_an_auth_failure(valkey: DatabaseServer) -> None:
    seen = await observe("redis", valkey.port, secret="canary-wrong")
    assert seen.error is ErrorClass.AUTH_FAILED
    assert "canary" not in seen.message


async def test_a_command_that_the_user_must_not_use_is_a_failed_statement(valkey: DatabaseServer) -> None:
    seen = await observe("redis", valkey.port, command=["GET", "orders"])
    assert seen.error is ErrorClass.STATEMENT_FAILED
    assert "WRONGTYPE" in seen.message


async def test_a_replica_is_read_only_where_the_primary_is_expected(valkey: DatabaseServer, tmp_path: Path) -> None:
    with running_valkey(tmp_path / "server", replica_of=valkey) as replica:
        seen = await observe("redis", replica.port, role="primary")
    assert seen.error is ErrorClass.READ_ONLY


async def test_a_token_of_the_identity_takes_the_place_of_the_password(valkey: DatabaseServer) -> None:
    tokens = {"https://redis.azure.com/.default": PASSWORD}
    seen = await observe("redis", valkey.port, password=None, entra=True, tokens=tokens)
    assert seen.error is None


async def test_a_role_that_the_user_must_not_read_is_not_the_expected_one(valkey: DatabaseServer) -> None:
    valkey.run(f"ACL SETUSER low on >{PASSWORD} +ping +select")
    fine = await observe("redis", valkey.port, user="low")
    seen = await observe("redis", valkey.port, user="low", role="primary")
    assert fine.error is None
    assert seen.error is ErrorClass.EXPECTATION_FAILED
    assert "did not report its role" in seen.message


async def test_a_full_server_has_too_many_connections(tmp_path: Path) -> None:
    with running_valkey(tmp_path / "server", tls=False) as server:
        fine = await observe("redis", server.port, tls="none")
        server.run("CONFIG SET maxclients 1")
        with socket.create_connection(("127.0.0.1", server.port)):
            seen = await observe("redis", server.port, tls="none")
    assert fine.error is None
    assert seen.error is ErrorClass.TOO_MANY_CONNECTIONS


async def test_a_certificate_of_another_authority_is_refused_before_the_password(valkey: DatabaseServer) -> None:
    seen = await observe("redis", valkey.port, tls={})
    assert seen.error is ErrorClass.TLS_CERTIFICATE


async def test_a_server_that_is_gone_refuses_the_connection(tmp_path: Path) -> None:
    with running_valkey(tmp_path / "server") as server:
        port = server.port
        server.kill()
        seen = await observe("redis", port)
    assert seen.error is ErrorClass.CONNECTION_REFUSED
