"""The authentication of a program, as its API uses it. Built by scheduler.app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scheduler.authentication.open import OpenAuthenticator
from scheduler.authentication.port import AuthenticationMode, Authenticator

if TYPE_CHECKING:
    from scheduler.authentication.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Authentication:
    """`sessions`: None where the scheduler does not authenticate callers itself.

    `trusts_platform`: whether only the platform can set the header with its claims (Easy Auth).

    `is_remote`: whether clients other than those on loopback can reach the API.
    """

    authenticator: Authenticator
    sessions: Sessions | None = None
    trusts_platform: bool = False
    is_remote: bool = False

    @property
    def mode(self) -> AuthenticationMode:
        return self.authenticator.mode


def open_authentication() -> Authentication:
    """Return the authentication of an API that only clients on loopback reach, in development."""
    return Authentication(OpenAuthenticator())
