"""The port of authentication. Called by scheduler.api.access, implemented by scheduler.authentication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from scheduler.identity.principal import Principal


class AuthenticationMode(StrEnum):
    """Where callers are authenticated."""

    OPEN = "open"
    """Nowhere: only clients on loopback reach the API."""
    FUNCTION_KEYS = "function_keys"
    """By the platform: Azure Functions checks the key of the function."""
    OWN = "own"
    """By the scheduler."""


@dataclass(frozen=True, slots=True)
class RequestCredentials:
    """What authentication reads of a request.

    `headers`: returns all values of a header by its lowercase name. `address`: of the client, empty if unknown.
    `function_name`: the HTTP function whose key the platform has checked, empty elsewhere. `is_suspect`: the address
    has failed authentication too often, so that an unknown key is rejected without a read of the store.
    """

    headers: Callable[[str], Sequence[str]]
    address: str = ""
    function_name: str = ""
    is_suspect: bool = False


@dataclass(frozen=True, slots=True)
class Authenticated:
    """An authenticated caller. `key_id`: of the API key that was used.

    `valid_until`: the end of the credential. `session_id`: the session whose cookie was sent, if it was a cookie.
    """

    principal: Principal
    key_id: str = ""
    valid_until: datetime | None = None
    session_id: str = ""


class Authenticator(Protocol):
    """Finds out who sends a request."""

    @property
    def mode(self) -> AuthenticationMode: ...

    async def authenticate(self, request: RequestCredentials) -> Authenticated | None:
        """Return the caller; None for a request without a credential. Raises AuthenticationError."""
        ...
