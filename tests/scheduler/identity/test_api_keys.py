"""The text of an API key, and when a stored key is accepted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.identity.api_keys import (
    API_KEY_PATTERN,
    ApiKey,
    create_api_key_text,
    hash_api_key,
    parse_api_key,
)
from scheduler.identity.principal import Role

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = "sch_a_0123456789_" + "0" * 43


def key(text: str = TEXT, **values: object) -> ApiKey:
    defaults = {"id": "k", "name": "deploy", "role": Role.OPERATOR, "created_at": NOW, "created_by": "me"}
    return ApiKey(secret_hash=hash_api_key(text), **(defaults | values))  # type: ignore[arg-type]


@pytest.mark.parametrize("role", Role)
def test_the_text_shows_the_role_and_contains_the_id(role: Role) -> None:
    key_id, text = create_api_key_text(role)

    assert text.startswith(f"sch_{role.value[0]}_{key_id}_")
    assert re.fullmatch(API_KEY_PATTERN, text)
    assert parse_api_key(text) == key_id


def test_no_two_keys_have_the_same_text() -> None:
    assert len({create_api_key_text(Role.VIEWER)[1] for _ in range(200)}) == 200


def test_a_key_with_one_wrong_character_is_not_a_key() -> None:
    _, text = create_api_key_text(Role.ADMIN)
    for place in range(len(text)):
        other = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
        assert parse_api_key(other) is None


@pytest.mark.parametrize("text", ["", "sch_", TEXT, "a" * 1000, "sch_a_0123456789_" + "٣" * 49, "\x00"])
def test_another_text_is_not_a_key(text: str) -> None:
    assert parse_api_key(text) is None


def test_a_key_matches_its_own_text_only() -> None:
    _, first = create_api_key_text(Role.ADMIN)
    _, second = create_api_key_text(Role.ADMIN)

    assert key(first).matches(first)
    assert not key(first).matches(second)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, None),
        ({"expires_at": NOW + timedelta(seconds=1)}, None),
        ({"expires_at": NOW}, "key_expired"),
        ({"revoked_at": NOW}, "key_revoked"),
        ({"addresses": ("10.0.0.0/8",)}, None),
        ({"addresses": ("10.9.9.9", "2001:db8::/32")}, None),
        ({"addresses": ("192.168.0.0/16",)}, "key_address"),
    ],
)
def test_a_key_is_rejected_for_one_reason(values: dict[str, object], reason: str | None) -> None:
    rejection = key(**values).rejection_at(NOW, "10.9.9.9")

    assert (rejection and rejection.reason) == reason


@pytest.mark.parametrize("address", ["", "unknown", "10.1.2.3.4"])
def test_an_unknown_address_is_in_no_network(address: str) -> None:
    rejection = key(addresses=("0.0.0.0/0",)).rejection_at(NOW, address)

    assert rejection is not None


@pytest.mark.parametrize("address", ["10.9.9.9", "::ffff:10.9.9.9", "[::ffff:10.9.9.9]"])
def test_an_ipv4_address_in_ipv6_form_is_the_same_address(address: str) -> None:
    assert key(addresses=("10.9.9.0/24",)).rejection_at(NOW, address) is None
