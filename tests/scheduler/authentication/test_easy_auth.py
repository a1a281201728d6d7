"""The principal that the platform sends is read, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from scheduler.authentication.entra import EasyAuth, RoleGrant, RoleMap
from scheduler.authentication.port import InvalidCredential, RoleMissing
from scheduler.identity.principal import Principal, PrincipalKind, Role

EASY_AUTH = EasyAuth(RoleMap({"Viewer": RoleGrant(Role.VIEWER, (("team", "payments"),))}))


def encode(body: Any) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def claims(*pairs: tuple[str, str], **more: Any) -> str:
    return encode({"auth_typ": "aad", "claims": [{"typ": kind, "val": value} for kind, value in pairs], **more})


@pytest.mark.parametrize(
    "header",
    [
        claims(("roles", "Viewer"), ("preferred_username", "ada@example.com")),
        claims(("r", "Viewer"), ("n", "ada@example.com"), role_typ="r", name_typ="n"),
    ],
)
def test_the_claims_give_the_principal(header: str) -> None:
    expected = Principal(PrincipalKind.EASY_AUTH, "ada@example.com", Role.VIEWER, (("team", "payments"),))

    assert EASY_AUTH.verify(header).principal == expected


@pytest.mark.parametrize(
    "header", ["", "x", "!!!", encode([]), encode("text"), encode(None), "A" * 40_000, "W" * 30_000]
)
def test_another_text_is_rejected(header: str) -> None:
    with pytest.raises(InvalidCredential):
        EASY_AUTH.verify(header)


@pytest.mark.parametrize(
    "header", [encode({}), encode({"claims": "all"}), encode({"claims": [1, {"typ": 1}]}), claims(("roles", "Owner"))]
)
def test_a_caller_without_a_known_role_is_refused(header: str) -> None:
    with pytest.raises(RoleMissing):
        EASY_AUTH.verify(header)
