"""Access tokens of one tenant are accepted, and nothing that only looks like one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scheduler.authentication import entra
from scheduler.authentication.entra import (
    FRESH_TIME,
    LEEWAY,
    MAX_TOKEN_LENGTH,
    MIN_FETCH_INTERVAL,
    STALE_TIME,
    EntraTenant,
    EntraTokens,
    RoleGrant,
    RoleMap,
    SigningKeys,
)
from scheduler.authentication.port import AuthenticationUnavailable, InvalidCredential, RoleMissing
from scheduler.identity.principal import PrincipalKind, Role
from tests.config.clock import ManualClock
from tests.parts.openid_provider import AUDIENCE, CLIENT, TENANT, OpenIdProvider

PAYMENTS = (("team", "payments"),)
ROLES = RoleMap(
    {
        "Scheduler.Viewer": RoleGrant(Role.VIEWER),
        "Scheduler.Admin": RoleGrant(Role.ADMIN),
        "Payments.Operator": RoleGrant(Role.OPERATOR, PAYMENTS),
        "Shop.Operator": RoleGrant(Role.OPERATOR, (("team", "shop"),)),
    }
)


class Desk:
    def __init__(self, provider: OpenIdProvider) -> None:
        self.clock, self.provider = ManualClock(), provider
        provider.now = lambda: self.clock.now().timestamp()
        self.tenant = EntraTenant(TENANT, (AUDIENCE,), provider.authority)
        self.keys = SigningKeys(self.tenant.keys_url, self.clock)
        self.tokens = EntraTokens(self.tenant, self.keys, ROLES, self.clock)

    async def reason(self, token: str) -> str:
        with pytest.raises(InvalidCredential) as caught:
            await self.tokens.verify(token)
        assert len(token) < 10 or token not in str(caught.value)
        return caught.value.reason


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with OpenIdProvider() as provider:
        yield Desk(provider)


@pytest.mark.parametrize("issuer", ["v2", "v1"])
async def test_an_access_token_gives_its_principal(desk: Desk, issuer: str) -> None:
    claims = {} if issuer == "v2" else {"iss": f"https://sts.windows.net/{TENANT}/", "azp": None, "appid": CLIENT}

    caller = await desk.tokens.verify(desk.provider.token(**claims))

    assert caller.principal.kind is PrincipalKind.ENTRA
    assert (caller.principal.name, caller.principal.role, caller.principal.tags) == (CLIENT, Role.ADMIN, ())
    assert caller.valid_until is not None
    assert caller.valid_until.timestamp() == desk.clock.now().timestamp() + 3600


async def test_a_user_is_named_as_people_know_it(desk: Desk) -> None:
    caller = await desk.tokens.verify(desk.provider.token(preferred_username="ada@example.com"))

    assert caller.principal.name == "ada@example.com"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "api://other"}, "token_audience"),
        ({"aud": None}, "token_invalid"),
        ({"iss": "https://login.microsoftonline.com/common/v2.0"}, "token_issuer"),
        ({"iss": None}, "token_invalid"),
        ({"tid": "11111111-2222-3333-4444-555555555555"}, "token_tenant"),
        ({"tid": None}, "token_tenant"),
        ({"exp": 0}, "token_expired"),
        ({"exp": None}, "token_invalid"),
        ({"exp": float("nan")}, "token_expired"),
        ({"exp": float("inf")}, "token_expired"),
        ({"exp": 2**60}, "token_expired"),
        ({"exp": True}, "token_expired"),
        ({"nbf": 2**33}, "token_early"),
        ({"azp": None}, "token_kind"),
        ({"nonce": "678910"}, "token_kind"),
        ({"at_hash": "x"}, "token_kind"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_rejected(desk: Desk, claims: dict[str, Any], reason: str) -> None:
    assert await desk.reason(desk.provider.token(**claims)) == reason


async def test_a_token_of_the_past_and_of_the_future_is_accepted_within_the_leeway(desk: Desk) -> None:
    now = int(desk.clock.now().timestamp())
    await desk.tokens.verify(desk.provider.token(exp=now - LEEWAY + 1))
    await desk.tokens.verify(desk.provider.token(nbf=now + LEEWAY))

    assert await desk.reason(desk.provider.token(exp=now - LEEWAY)) == "token_expired"
    assert await desk.reason(desk.provider.token(nbf=now + LEEWAY + 1)) == "token_early"


async def test_a_token_without_a_real_signature_is_rejected(desk: Desk) -> None:
    whole = desk.provider.token()
    body, _, signature = whole.rpartition(".")
    changed = signature[:-4] + ("AAAA" if not signature.endswith("AAAA") else "BBBB")

    assert await desk.reason(desk.provider.unsigned_token()) == "token_algorithm"
    assert await desk.reason(desk.provider.token_signed_with_public_key()) == "token_algorithm"
    assert await desk.reason(f"{body}.{changed}") == "token_signature"
    assert await desk.reason(f"{body}.") == "token_signature"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.é.é", "." * 50, "x" * (MAX_TOKEN_LENGTH + 1)])
async def test_another_text_is_rejected_without_a_fetch(desk: Desk, text: str) -> None:
    assert await desk.reason(text or ".") == "token_malformed"
    assert desk.provider.fetches == 0


async def test_an_id_token_is_rejected(desk: Desk) -> None:
    assert await desk.reason(desk.provider.id_token()) == "token_kind"


@pytest.mark.parametrize("roles", [None, [], ["Other.Role"], "Other.Role", [1, None], {"a": 1}])
async def test_a_token_without_a_known_role_is_refused_as_a_known_caller(desk: Desk, roles: Any) -> None:
    with pytest.raises(RoleMissing):
        await desk.tokens.verify(desk.provider.token(roles=roles))


@pytest.mark.parametrize(
    ("roles", "role", "tags"),
    [
        (["Payments.Operator"], Role.OPERATOR, PAYMENTS),
        (["Payments.Operator", "Shop.Operator"], Role.OPERATOR, (*PAYMENTS, ("team", "shop"))),
        (["Payments.Operator", "Scheduler.Viewer"], Role.OPERATOR, PAYMENTS),
        (["Payments.Operator", "Scheduler.Admin"], Role.ADMIN, ()),
    ],
)
async def test_the_highest_role_counts_with_its_tags(desk: Desk, roles: list[str], role: Role, tags: Any) -> None:
    principal = (await desk.tokens.verify(desk.provider.token(roles=roles))).principal

    assert (principal.role, principal.tags) == (role, tags)


async def test_a_rotated_key_is_fetched_at_most_once_a_minute(desk: Desk) -> None:
    await desk.tokens.verify(desk.provider.token())
    desk.provider.rotate()
    token = desk.provider.token()
    assert await desk.reason(token) == "token_key_unknown"
    assert desk.provider.fetches == 1

    desk.clock.passed += MIN_FETCH_INTERVAL
    await desk.tokens.verify(token)
    for _ in range(5):
        desk.provider.key_number = 7
        await desk.reason(desk.provider.token())

    assert desk.provider.fetches == 2


async def test_a_key_that_the_provider_has_removed_is_not_accepted_after_the_next_fetch(desk: Desk) -> None:
    stolen = desk.provider.token(exp=2**33)
    await desk.tokens.verify(stolen)
    desk.provider.rotate()
    desk.clock.passed += FRESH_TIME

    assert await desk.reason(stolen) == "token_key_unknown"


async def test_fetched_keys_stay_valid_for_a_bounded_time_while_the_provider_is_unavailable(desk: Desk) -> None:
    token = desk.provider.token(exp=2**33)
    await desk.tokens.verify(token)
    desk.provider.is_available = False

    desk.clock.passed += STALE_TIME - 1
    await desk.tokens.verify(token)
    desk.clock.passed += 2

    with pytest.raises(AuthenticationUnavailable):
        await desk.tokens.verify(token)


async def test_without_keys_and_without_the_provider_nothing_is_judged(desk: Desk) -> None:
    desk.provider.is_available = False
    with pytest.raises(AuthenticationUnavailable):
        await desk.tokens.verify(desk.provider.token())

    desk.provider.is_available = True
    desk.clock.passed += entra.RETRY_INTERVAL
    await desk.tokens.verify(desk.provider.token())


async def test_concurrent_requests_share_one_fetch(desk: Desk) -> None:
    token = desk.provider.token()

    await asyncio.gather(*(desk.tokens.verify(token) for _ in range(20)))

    assert desk.provider.fetches == 1
