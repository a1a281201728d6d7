"""`sessions`: the sessions of browsers are listed and ended, without a cookie or a whole id."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.identity import Session, StoredSessions, expiry_prefix
from scheduler.stores.sqlite.store import open_sqlite
from tests.scheduler.cli.invocation import invoke

NOW = datetime.now(UTC)
END = NOW + timedelta(hours=1)


@pytest.fixture
def stored(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sessions of the key `deploy`, one of `ada`."""
    file = job_folder.parent / "sessions.db"
    monkeypatch.setenv("SCHEDULER_STORE", f"sqlite:///{file}")
    assert invoke("keys").code == 0  # it creates the store

    async def insert() -> None:
        store = await open_sqlite(file)
        for name, letter in (("deploy", "a"), ("deploy", "b"), ("ada", "c")):
            who = Principal(PrincipalKind.API_KEY, name, Role.OPERATOR, (("team", "shop"),))
            session = Session(f"{expiry_prefix(END)}-{letter * 64}", who, "", END, NOW, started_at=NOW, address="::1")
            await StoredSessions(store).insert(session, NOW)
        await store.aclose()

    asyncio.run(insert())


@pytest.mark.usefixtures("stored")
def test_sessions_are_listed_by_principal() -> None:
    listed, as_json = invoke("sessions"), invoke("sessions", "list", "--json")

    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert rows[0] == ["id", "principal", "role", "tags", "address", "started_at", "last_used_at", "ends_at"]
    assert [row[:5] for row in rows[1:]] == [
        [letter * 12, principal, "operator", "team:shop", "::1"]
        for letter, principal in (("c", "api_key:ada"), ("a", "api_key:deploy"), ("b", "api_key:deploy"))
    ]
    assert [each["id"] for each in json.loads(as_json.stdout)["sessions"]] == [row[0] for row in rows[1:]]


@pytest.mark.usefixtures("stored")
def test_one_session_and_all_of_a_principal_are_ended() -> None:
    one, all_of, none = (
        invoke("sessions", "end", "c" * 12),
        invoke("sessions", "end", "api_key:deploy"),
        invoke("sessions"),
    )

    assert one.stdout == f"session {'c' * 12} of api_key:ada is ended\n"
    assert (all_of.code, len(all_of.stdout.splitlines())) == (0, 2)
    assert len(none.stdout.splitlines()) == 1


@pytest.mark.usefixtures("stored")
def test_an_unknown_session_is_a_failure() -> None:
    result = invoke("sessions", "end", "nowhere")

    assert (result.code, "there is no session 'nowhere'" in result.stderr) == (1, True)
