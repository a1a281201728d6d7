"""A session of a browser ends after its lifetime, without requests, with its key, and on request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from scheduler.authentication.own import FRESH_TIME
from scheduler.authentication.port import Authenticated, AuthenticationUnavailable
from scheduler.authentication.sessions import (
    MAX_SESSIONS,
    MAX_STARTS,
    PLAIN_COOKIE,
    SECURE_COOKIE,
    START_WINDOW,
    SessionRules,
    Sessions,
)
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.identity import SESSIONS_TABLE, StoredSessions
from tests.scheduler.authentication.parts import CALLER, KeyDesk

ADDRESS = "10.0.0.1"
RULES = SessionRules(lifetime=8 * 3600, idle=1800)


@dataclass
class Desk:
    keys: KeyDesk
    sessions: Sessions
    key_id: str
    caller: Authenticated

    def elsewhere(self) -> Sessions:
        """The sessions of another process."""
        return Sessions(StoredSessions(self.keys.store), self.keys.verifier, self.sessions.rules, self.keys.clock)


async def desk(rules: SessionRules = RULES) -> Desk:
    keys = KeyDesk()
    key_id, text = await keys.create("ada", Role.OPERATOR)
    sessions = Sessions(StoredSessions(keys.store), keys.verifier, rules, keys.clock)
    return Desk(keys, sessions, key_id, await keys.verifier.verify(text, ADDRESS))


async def found(sessions: Sessions, cookie: str, name: str = SECURE_COOKIE) -> Authenticated | None:
    return await sessions.authenticate(f"other=1; {name}={cookie}", ADDRESS)


async def test_a_session_gives_the_principal_of_its_key() -> None:
    at = await desk()
    cookie, session = await at.sessions.start(at.caller)

    caller = await found(at.elsewhere(), cookie)

    assert caller is not None
    assert (caller.principal.id, caller.principal.role) == ("session:api_key:ada", Role.OPERATOR)
    assert (caller.session_id, caller.valid_until) == (session.id, session.ends_at)


async def test_the_store_has_only_the_hash_of_the_cookie() -> None:
    at = await desk()
    cookie, _ = await at.sessions.start(at.caller)

    stored = repr([row for (table, *_), row in at.keys.store.data.rows.items() if table == SESSIONS_TABLE])
    assert cookie.partition(".")[2] not in stored


@pytest.mark.parametrize("change", ["", "x", "end", "secret"])
async def test_a_changed_cookie_is_no_session(change: str) -> None:
    at = await desk()
    cookie, _ = await at.sessions.start(at.caller)
    end, _, secret = cookie.partition(".")
    changed = {
        "end": f"{int(end) + 100_000:011d}.{secret}",
        "secret": f"{end}.{'A' * 43}",
    }.get(change, change)

    assert await found(at.sessions, changed) is None


async def test_a_session_ends_without_requests_and_lasts_with_them() -> None:
    at = await desk()
    cookie, _ = await at.sessions.start(at.caller)
    for _ in range(5):
        at.keys.clock.passed += RULES.idle - 60
        assert await found(at.elsewhere(), cookie) is not None

    at.keys.clock.passed += RULES.idle

    assert await found(at.elsewhere(), cookie) is None
    assert await found(at.sessions, cookie) is None


async def test_a_session_ends_after_its_lifetime_whatever_happens() -> None:
    at = await desk(SessionRules(lifetime=3600, idle=1800))
    cookie, _ = await at.sessions.start(at.caller)
    for _ in range(3):
        at.keys.clock.passed += 1199
        assert await found(at.elsewhere(), cookie) is not None

    at.keys.clock.passed += 10

    assert await found(at.elsewhere(), cookie) is None


async def test_a_session_of_a_token_ends_with_it() -> None:
    at = await desk()
    principal = Principal(PrincipalKind.ENTRA, "ada", Role.VIEWER)
    end = at.keys.clock.now() + timedelta(seconds=100)
    cookie, session = await at.sessions.start(Authenticated(principal, valid_until=end))
    assert session.ends_at == end
    assert await found(at.sessions, cookie) is not None

    at.keys.clock.passed += 100

    assert await found(at.sessions, cookie) is None


async def test_a_revoked_key_ends_its_sessions_for_good() -> None:
    at = await desk()
    cookie, session = await at.sessions.start(at.caller)
    await at.keys.manager.revoke(at.key_id, CALLER)
    at.keys.clock.passed += FRESH_TIME

    assert await found(at.sessions, cookie) is None
    assert await StoredSessions(at.keys.store).find(session.id) is None


async def test_an_ended_session_stays_ended_although_another_process_uses_it_at_the_same_time() -> None:
    at = await desk()
    cookie, session = await at.sessions.start(at.caller)
    other = at.elsewhere()
    at.keys.clock.passed += 100
    before = await StoredSessions(at.keys.store).find(session.id)
    assert before is not None

    await at.sessions.end(session.id)

    assert not await StoredSessions(at.keys.store).record_use(replace(before, used_at=at.keys.clock.now()))
    assert await found(other, cookie) is None


async def test_the_cookie_without_secure_counts_only_where_it_is_set() -> None:
    at = await desk()
    cookie, _ = await at.sessions.start(at.caller)

    assert await found(at.sessions, cookie, PLAIN_COOKIE) is None
    at.sessions.rules = replace(RULES, accepts_plain=True)
    assert await found(at.sessions, cookie, PLAIN_COOKIE) is not None


async def test_a_known_session_is_accepted_while_the_store_is_unavailable_and_an_unknown_one_is_not_judged() -> None:
    at = await desk()
    cookie, _ = await at.sessions.start(at.caller)
    assert await found(at.sessions, cookie) is not None
    at.keys.store.breaks_after = 0
    at.keys.clock.passed += 120

    assert await found(at.sessions, cookie) is not None
    with pytest.raises(AuthenticationUnavailable):
        await found(at.elsewhere(), cookie)


async def test_a_start_removes_sessions_that_have_expired() -> None:
    at = await desk(SessionRules(lifetime=60, idle=60))
    for _ in range(3):
        await at.sessions.start(at.caller)
    at.keys.clock.passed += 61

    await at.sessions.start(at.caller)

    assert sum(table == SESSIONS_TABLE for table, *_ in at.keys.store.data.rows) == 1


async def test_a_further_session_of_a_principal_ends_the_oldest_one() -> None:
    at = await desk()
    cookies = []
    for _ in range(MAX_SESSIONS):
        assert await at.sessions.list_surplus(at.caller.principal) == []
        cookies.append((await at.sessions.start(at.caller))[0])
        at.keys.clock.passed += 1

    surplus = await at.sessions.list_surplus(at.caller.principal)
    assert len(surplus) == 1
    await at.sessions.start(at.caller, surplus)

    assert await found(at.sessions, cookies[0]) is None
    assert await found(at.sessions, cookies[1]) is not None
    other = replace(at.caller.principal, name="bob")
    assert await at.sessions.list_surplus(other) == []


async def test_the_starts_of_a_principal_are_bounded_in_an_hour() -> None:
    at = await desk()
    who, other = at.caller.principal, replace(at.caller.principal, name="bob")
    waits = []
    for _ in range(MAX_STARTS + 1):
        waits.append(at.sessions.count_start(who))
        at.keys.clock.passed += 1

    assert waits[:-1] == [0.0] * MAX_STARTS
    assert waits[-1] == START_WINDOW - MAX_STARTS
    assert at.sessions.count_start(other) == 0.0
    at.keys.clock.passed += waits[-1]
    assert at.sessions.count_start(who) == 0.0
