"""API keys are verified against the store, from a cache that neither a revocation nor an outage makes dangerous."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from scheduler.authentication import own
from scheduler.authentication.own import FRESH_TIME, STALE_TIME, USE_INTERVAL, KeyVerifier
from scheduler.authentication.port import AuthenticationUnavailable, InvalidCredential
from scheduler.identity.api_keys import create_api_key_text
from scheduler.identity.principal import PrincipalKind, Role
from tests.scheduler.authentication.parts import CALLER, KeyDesk

ADDRESS = "10.0.0.1"


async def rejection(desk: KeyDesk, text: str, address: str = ADDRESS) -> str:
    with pytest.raises(InvalidCredential) as caught:
        await desk.verifier.verify(text, address)
    assert text not in str(caught.value)
    return caught.value.reason


async def test_a_key_gives_its_principal() -> None:
    desk = KeyDesk()
    key_id, text = await desk.create("deploy", Role.OPERATOR, tags=(("team", "payments"),))

    caller = await desk.verifier.verify(text, ADDRESS)

    principal = caller.principal
    assert (principal.kind, principal.name, principal.role) == (PrincipalKind.API_KEY, "deploy", Role.OPERATOR)
    assert (principal.tags, caller.key_id) == ((("team", "payments"),), key_id)


async def test_an_unknown_key_and_a_wrong_secret_are_rejected_alike() -> None:
    desk = KeyDesk()
    key_id, text = await desk.create()
    _, unknown = create_api_key_text(Role.ADMIN)

    assert await rejection(desk, unknown) == "key_unknown"
    assert await rejection(desk, text[:-1]) == "key_malformed"
    # The right id with another secret: as a stranger would guess it.
    _, other = create_api_key_text(Role.OPERATOR)
    desk.store.data.rows["api_keys", "keys", other.split("_")[2]] = desk.store.data.rows["api_keys", "keys", key_id]
    assert await rejection(desk, other) == "key_unknown"


async def test_a_misspelt_key_costs_no_read_of_the_store() -> None:
    desk = KeyDesk()
    _, text = await desk.create()
    reads = desk.store.reads

    await rejection(desk, text[:-1] + ("a" if text[-1] != "a" else "b"))

    assert desk.store.reads == reads


async def test_an_expired_key_is_rejected_from_that_instant_on() -> None:
    desk = KeyDesk()
    _, text = await desk.create(expires_at=desk.clock.now() + timedelta(seconds=3))
    await desk.verifier.verify(text, ADDRESS)

    desk.clock.passed += 3

    assert await rejection(desk, text) == "key_expired"


async def test_a_key_of_a_network_is_rejected_from_elsewhere() -> None:
    desk = KeyDesk()
    _, text = await desk.create(addresses=("10.0.0.0/24",))

    await desk.verifier.verify(text, "10.0.0.9")
    assert await rejection(desk, text, "10.0.1.9") == "key_address"
    assert await rejection(desk, text, "") == "key_address"


async def test_a_revocation_holds_in_another_process_within_the_cache_time() -> None:
    desk = KeyDesk()
    key_id, text = await desk.create()
    elsewhere = KeyVerifier(desk.keys, desk.clock)
    await elsewhere.verify(text, ADDRESS)

    await desk.manager.revoke(key_id, CALLER)
    desk.clock.passed += FRESH_TIME

    with pytest.raises(InvalidCredential):
        await elsewhere.verify(text, ADDRESS)


async def test_a_cached_key_is_accepted_for_a_bounded_time_while_the_store_is_unavailable() -> None:
    desk = KeyDesk()
    _, text = await desk.create()
    await desk.verifier.verify(text, ADDRESS)
    desk.store.breaks_after = 0

    desk.clock.passed += STALE_TIME - 1
    await desk.verifier.verify(text, ADDRESS)
    desk.clock.passed += 2

    with pytest.raises(AuthenticationUnavailable):
        await desk.verifier.verify(text, ADDRESS)


async def test_an_unknown_key_is_not_judged_while_the_store_is_unavailable() -> None:
    desk = KeyDesk()
    desk.store.breaks_after = 0
    _, text = create_api_key_text(Role.ADMIN)

    with pytest.raises(AuthenticationUnavailable):
        await desk.verifier.verify(text, ADDRESS)


async def test_the_last_use_is_recorded_at_most_once_a_minute() -> None:
    desk = KeyDesk()
    _, text = await desk.create()
    first = desk.clock.now()
    for _ in range(5):
        await desk.verifier.verify(text, ADDRESS)
        desk.clock.passed += 1
    (stored,) = await desk.keys.list_keys()
    assert stored.last_used_at == first

    desk.clock.passed += USE_INTERVAL
    await desk.verifier.verify(text, ADDRESS)

    (stored,) = await desk.keys.list_keys()
    assert stored.last_used_at == desk.clock.now()


async def test_concurrent_requests_with_one_key_share_one_read() -> None:
    desk = KeyDesk()
    _, text = await desk.create()
    reads = desk.store.reads

    await asyncio.gather(*(desk.verifier.verify(text, ADDRESS) for _ in range(20)))

    assert desk.store.reads == reads + 1


async def test_unknown_keys_never_displace_known_ones_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "MAX_CACHED", 5)
    desk = KeyDesk()
    _, text = await desk.create()
    await desk.verifier.verify(text, ADDRESS)
    for _ in range(20):
        await rejection(desk, create_api_key_text(Role.ADMIN)[1])
    desk.store.breaks_after = 0

    await desk.verifier.verify(text, ADDRESS)


async def test_a_suspect_address_costs_one_read_for_all_keys_that_do_not_exist() -> None:
    desk = KeyDesk()
    _, text = await desk.create()
    await desk.verifier.verify(text, ADDRESS, is_suspect=True)
    reads = desk.store.reads

    for _ in range(100):
        _, unknown = create_api_key_text(Role.ADMIN)
        with pytest.raises(InvalidCredential):
            await desk.verifier.verify(unknown, ADDRESS, is_suspect=True)

    assert desk.store.reads == reads


async def test_a_suspect_address_has_the_rights_of_a_valid_key_that_was_never_used() -> None:
    desk = KeyDesk()
    keys = [await desk.create(f"key-{number}") for number in range(3)]

    for key_id, text in keys:
        assert (await desk.verifier.verify(text, ADDRESS, is_suspect=True)).key_id == key_id


async def test_a_suspect_address_is_not_refused_while_the_store_is_unavailable() -> None:
    desk = KeyDesk()
    _, text = await desk.create()
    desk.store.breaks_after = 0

    with pytest.raises(AuthenticationUnavailable):
        await desk.verifier.verify(text, ADDRESS, is_suspect=True)
