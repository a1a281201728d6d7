"""Results of a failed authentication. Raised by scheduler.authentication, answered by scheduler.api.access.

AuthenticationError
 ├─ InvalidCredential           401: a credential is unknown, expired, revoked or forged
 ├─ RoleMissing                 403: the caller is known, and the settings give it no role
 └─ AuthenticationUnavailable   503: the store or the identity provider is unavailable, so the caller is unknown
"""

from __future__ import annotations


class AuthenticationError(Exception):
    """The caller is not authenticated. The message is for the caller and never contains a credential."""

    def __init__(self, detail: str, *, reason: str, way: str, claimed: str = "") -> None:
        """`reason`: a code for the audit trail, such as `key_expired`. `way`: a PrincipalKind, or empty.

        `claimed`: the id of the principal, if it is known.
        """
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.way = way
        self.claimed = claimed


class InvalidCredential(AuthenticationError):
    """The credential is not valid."""


class RoleMissing(AuthenticationError):
    """The credential is valid, but the settings give its owner no role."""


class AuthenticationUnavailable(AuthenticationError):
    """It is unknown now whether the credential is valid."""
