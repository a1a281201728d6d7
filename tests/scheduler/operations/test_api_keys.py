"""Keys are created, rotated and revoked; each change is in the audit trail, without the text of a key."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import scheduler.features.access.service
from scheduler.errors import Conflict, InvalidArgument, NotFound
from scheduler.features.access.service import NewKey
from scheduler.identity.api_keys import hash_api_key
from scheduler.identity.principal import Caller, ChangeSource, Principal, PrincipalKind, Role
from tests.scheduler.authentication.parts import CALLER, KeyDesk

PAYMENTS = (("team", "payments"),)
LIMITED = Caller(Principal(PrincipalKind.API_KEY, "lead", Role.ADMIN, PAYMENTS), ChangeSource.API)


async def test_of_requests_that_create_a_key_of_one_name_together_one_succeeds() -> None:
    desk = KeyDesk()

    results = await asyncio.gather(
        *(desk.manager.create(NewKey("deploy", Role.VIEWER), CALLER) for _ in range(8)), return_exceptions=True
    )

    created = [each for each in results if not isinstance(each, BaseException)]
    active = [stored.key for stored in await desk.keys.list_keys() if stored.key.is_active_at(desk.clock.now())]
    assert [key.id for key in active] == [each.id for each in created]
    assert len(created) == 1
    assert {str(each) for each in results if isinstance(each, Conflict)} == {
        "an active API key is named deploy: choose another name, or rotate or revoke it"
    }


async def test_the_number_of_active_keys_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler.features.access.service, "MAX_ACTIVE_KEYS", 2)
    desk = KeyDesk()
    first, _ = await desk.create("first")
    await desk.create("second")

    with pytest.raises(Conflict, match="2 API keys are active, at most 2 are possible: revoke others"):
        await desk.create("third")
    await desk.manager.revoke(first, CALLER)
    await desk.create("third")


async def test_two_keys_overlap_while_one_is_rotated() -> None:
    desk = KeyDesk()
    key_id, old_text = await desk.create("deploy", tags=PAYMENTS, addresses=("10.0.0.0/8",))

    created = await desk.manager.rotate(key_id, CALLER, overlap=60)

    successor, old = await desk.keys.find(created.id), await desk.keys.find(key_id)
    assert successor is not None
    assert old is not None
    assert replace(successor, id="", secret_hash="", created_at=desk.clock.now()) == replace(
        old, id="", secret_hash="", expires_at=None, successor=""
    )
    for text in (old_text, created.key):
        await desk.verifier.verify(text, "10.0.0.1")
    desk.clock.passed += 60
    await desk.verifier.verify(created.key, "10.0.0.1")
    with pytest.raises(Exception, match="expired"):
        await desk.verifier.verify(old_text, "10.0.0.1")


async def test_a_successor_lives_as_long_as_its_key_was_meant_to() -> None:
    desk = KeyDesk()
    key_id, _ = await desk.create(expires_at=desk.clock.now() + timedelta(days=90))
    desk.clock.passed += 80 * 86400

    created = await desk.manager.rotate(key_id, CALLER, overlap=30 * 86400)

    assert created.expires_at == desk.clock.now() + timedelta(days=90)
    assert created.replaced is not None
    assert created.replaced.expires_at == desk.clock.now() + timedelta(days=10)


async def test_a_key_that_expires_in_the_last_year_can_be_rotated() -> None:
    desk = KeyDesk()
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    key_id, _ = await desk.create(expires_at=end)
    desk.clock.passed += 86400

    created = await desk.manager.rotate(key_id, CALLER)

    assert created.expires_at is not None
    assert created.expires_at >= end


async def test_a_key_is_rotated_once() -> None:
    desk = KeyDesk()
    key_id, _ = await desk.create()
    await desk.manager.rotate(key_id, CALLER)

    with pytest.raises(Conflict, match="already has the successor"):
        await desk.manager.rotate(key_id, CALLER)


async def test_an_active_name_is_not_given_twice() -> None:
    desk = KeyDesk()
    key_id, _ = await desk.create("deploy")
    with pytest.raises(Conflict, match="deploy"):
        await desk.create("deploy")

    await desk.manager.revoke(key_id, CALLER)

    await desk.create("deploy")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "ü"}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"expires_at": "past"}, "expires_at"),
        ({"addresses": ("10.0.0.1/8",)}, "addresses"),
        ({"addresses": ("nowhere",)}, "addresses"),
        ({"addresses": ("10.0.0.1",) * 21}, "addresses"),
        ({"tags": tuple(("t", str(n)) for n in range(21))}, "tags"),
    ],
)
async def test_an_invalid_key_is_not_created(values: dict[str, Any], field: str) -> None:
    desk = KeyDesk()
    if "expires_at" in values:
        values = {"expires_at": desk.clock.now()}
    with pytest.raises(InvalidArgument) as caught:
        await desk.manager.create(NewKey(**({"name": "deploy", "role": Role.ADMIN} | values)), CALLER)

    assert caught.value.field == field
    assert await desk.keys.list_keys() == []


@pytest.mark.parametrize("tags", [(), (("team", "shop"),), (*PAYMENTS, ("team", "shop"))])
async def test_a_caller_that_is_limited_to_tags_creates_no_key_with_other_limits(tags: Any) -> None:
    desk = KeyDesk()
    with pytest.raises(InvalidArgument, match="team:payments"):
        await desk.manager.create(NewKey("deploy", Role.VIEWER, tags), LIMITED)


async def test_other_keys_do_not_exist_for_a_caller_that_is_limited_to_tags() -> None:
    desk = KeyDesk()
    everything, _ = await desk.create("everything", Role.ADMIN)
    own, _ = await desk.create("own", tags=PAYMENTS)

    assert [key.id for key in (await desk.manager.list_keys(LIMITED)).keys] == [own]
    for change in (desk.manager.revoke, desk.manager.rotate, desk.manager.get_key):
        with pytest.raises(NotFound):
            await change(everything, LIMITED)


async def test_a_revoked_key_cannot_be_rotated_and_stays_revoked_as_it_was() -> None:
    desk = KeyDesk()
    key_id, _ = await desk.create()
    revoked = await desk.manager.revoke(key_id, CALLER)
    desk.clock.passed += 5

    assert await desk.manager.revoke(key_id, CALLER) == revoked
    with pytest.raises(Conflict, match="not active"):
        await desk.manager.rotate(key_id, CALLER)


async def test_the_audit_trail_has_each_change_and_neither_text_nor_hash() -> None:
    desk = KeyDesk()
    key_id, text = await desk.create()
    created = await desk.manager.rotate(key_id, CALLER)
    await desk.manager.revoke(key_id, CALLER)

    assert desk.trail.actions == [
        ("api_key.create", key_id),
        ("api_key.rotate", key_id),
        ("api_key.revoke", key_id),
    ]
    recorded = repr(desk.trail.changes)
    for secret in (text, created.key, hash_api_key(created.key)):
        assert secret not in recorded


async def test_nothing_is_created_that_cannot_be_recorded() -> None:
    desk = KeyDesk()
    desk.trail.is_unavailable = True

    with pytest.raises(Exception, match="does not answer"):
        await desk.create()

    assert await desk.keys.list_keys() == []
