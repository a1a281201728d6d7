"""A credential that one job lacks is about the job; credentials that no job obtains are about the scheduler."""

from __future__ import annotations

import asyncio

import pytest

from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.ports import CredentialRefresh
from jobs.running.self_checks import NO_CREDENTIALS, CredentialChecks
from jobs.runs import ErrorClass
from tests.jobs.running.run_parts import job
from tests.jobs.running.virtual_time import virtual_time

TOKEN, SECRET = ErrorClass.TOKEN_UNAVAILABLE, ErrorClass.SECRET_UNAVAILABLE


class Sources:
    """Implements Tokens and Secrets. `hanging`: names without an answer."""

    def __init__(self, *available: str, hanging: str = "") -> None:
        self._available = available
        self._hanging = hanging

    async def get_token(self, scope: str) -> str:
        if scope == self._hanging:
            await asyncio.Event().wait()
        if scope not in self._available:
            raise TokenUnavailable(f"no token for {scope}: no managed identity.")
        return "token"

    async def get_secret(self, name: str) -> str:
        if name not in self._available:
            raise SecretUnavailable(f"the secret {name} cannot be read")
        return "value"

    async def refresh_rejected(self, name: str, rejected: str) -> CredentialRefresh:
        raise NotImplementedError


def checks_of(sources: Sources, *, scopes: tuple[str, ...] = (), secrets: tuple[str, ...] = ()) -> CredentialChecks:
    auths = [{"kind": "managed_identity", "scope": scope} for scope in scopes]
    auths += [{"kind": "bearer", "token": {"secret": name}} for name in secrets]  # type: ignore[dict-item]
    targets = [job(check={"url": "https://a.example/", "auth": auth}).check for auth in auths]
    return CredentialChecks(lambda: [*targets, job().check], sources, sources)


@pytest.mark.parametrize(
    ("error", "sources", "scopes", "secrets", "is_own"),
    [
        (TOKEN, Sources(), ("a", "b"), (), True),
        (TOKEN, Sources(), ("a",), (), True),
        (TOKEN, Sources("b"), ("a", "b"), (), False),
        (TOKEN, Sources(hanging="a"), ("a",), (), True),
        (TOKEN, Sources(), (), (), False),
        (SECRET, Sources(), (), ("x", "y", "z"), True),
        (SECRET, Sources(), (), ("x", "y"), False),
        (SECRET, Sources("z"), (), ("x", "y", "z"), False),
        (ErrorClass.CONNECT_TIMEOUT, Sources(), ("a",), ("x", "y", "z"), False),
    ],
)
@virtual_time
async def test_credentials_that_no_job_obtains(
    error: ErrorClass, sources: Sources, scopes: tuple[str, ...], secrets: tuple[str, ...], is_own: bool
) -> None:
    cause = await checks_of(sources, scopes=scopes, secrets=secrets).explain(error)
    assert (cause is not None) == is_own
    if cause is not None:
        assert cause.startswith(NO_CREDENTIALS)
