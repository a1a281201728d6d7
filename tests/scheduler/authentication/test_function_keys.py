"""The HTTP function whose key the platform has checked decides the role."""

from __future__ import annotations

import pytest

from scheduler.authentication.port import FunctionKeyAuthenticator
from scheduler.identity.principal import Role
from tests.scheduler.authentication.parts import credentials


@pytest.mark.parametrize(
    ("function", "role"),
    [
        ("read", Role.VIEWER),
        ("operate", Role.OPERATOR),
        ("manage", Role.ADMIN),
        ("manage_jobs", Role.ADMIN),
        ("health", None),
        ("heartbeat", None),
        ("", None),
        ("unknown", None),
    ],
)
async def test_the_function_gives_the_role(function: str, role: Role | None) -> None:
    caller = await FunctionKeyAuthenticator().authenticate(credentials(function_name=function))

    assert (caller and caller.principal.role) == role


async def test_a_key_of_another_kind_does_not_count() -> None:
    request = credentials(function_name="health", authorization="Bearer sch_a_key", x_api_key="sch_a_key")

    assert await FunctionKeyAuthenticator().authenticate(request) is None
