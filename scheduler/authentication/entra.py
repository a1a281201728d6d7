"""Identities of Microsoft Entra ID: access tokens of one tenant, and the principal that Easy Auth, the platform's
authentication, sends. App roles of both are mapped to a role of ours.

Accepted tokens: RS256 with a key of the tenant, one of its two issuers, the app's audience, and a known app role.
Rejected in particular: `alg: none`, HS256 (with which a public key would be a valid secret), tokens of other tenants,
and ID tokens, which prove to a client who has signed in, but authorize nothing.

The keys of the provider are fetched and cached. It rotates them without notice, so a token with an unknown key causes a
fetch, at most once a minute. While the provider is unavailable, the fetched keys stay valid for STALE_TIME.

Only the platform can set the header of Easy Auth, if and only if it authenticates every request: it removes the header
of a client. Otherwise any client could forge it, so a setting must state that the platform does so.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobs.ports import Clock
from jobs.responses import fetch
from scheduler.authentication.port import Authenticated, AuthenticationUnavailable, InvalidCredential, RoleMissing
from scheduler.identity.principal import Principal, PrincipalKind, Role, Tags

if TYPE_CHECKING:
    import httpx
    from jwt import PyJWK


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """`tags`: of the jobs that the role is for; empty: all jobs."""

    role: Role
    tags: Tags = ()


class RoleMap:
    """`grants`: by app role."""

    def __init__(self, grants: Mapping[str, RoleGrant]) -> None:
        self._grants = grants

    def find_principal(self, kind: PrincipalKind, name: str, app_roles: object) -> Principal:
        """Return the principal with the highest role of its app roles. Raises RoleMissing.

        Of several grants of the same role, the tags are combined; one without tags is for all jobs. A lower role with
        other tags does not count, because a principal has one role for all jobs that it sees.
        """
        given = app_roles if isinstance(app_roles, list) else [app_roles]
        grants = [self._grants[each] for each in given if isinstance(each, str) and each in self._grants]
        if not grants:
            detail = "The caller has no app role that the setting http.entra.roles contains."
            raise RoleMissing(detail, reason="role_missing", way=kind, claimed=f"{kind}:{name}")
        highest = max((grant.role for grant in grants), key=list(Role).index)
        chosen = [grant.tags for grant in grants if grant.role is highest]
        tags = () if () in chosen else tuple(sorted({tag for limits in chosen for tag in limits}))
        return Principal(kind, name, highest, tags)


MAX_HEADER_LENGTH = 32 * 1024
_ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
_NAME_CLAIMS = ("preferred_username", "upn", "azp", "appid", "oid")


class EasyAuth:
    """Reads the caller from the header of the platform's authentication, which only the platform can set."""

    def __init__(self, roles: RoleMap) -> None:
        self._roles = roles

    def verify(self, header: str) -> Authenticated:
        """Return the caller of `X-MS-CLIENT-PRINCIPAL`. Raises AuthenticationError."""
        body = _decode(header)
        claims = [(claim["typ"], claim["val"]) for claim in _list_claims(body)]
        role_types = {*_ROLE_CLAIMS, str(body.get("role_typ") or "roles")}
        name_types = (str(body.get("name_typ") or ""), *_NAME_CLAIMS)
        roles = [value for kind, value in claims if kind in role_types]
        name = next((value for each in name_types for kind, value in claims if kind == each and value), "unknown")
        return Authenticated(self._roles.find_principal(PrincipalKind.EASY_AUTH, name[:200], roles))


def _decode(header: str) -> Mapping[str, Any]:
    try:
        if len(header) > MAX_HEADER_LENGTH:
            raise ValueError("too long")
        body = json.loads(base64.b64decode(header, validate=True))
    except (ValueError, RecursionError, binascii.Error):
        body = None
    if not isinstance(body, dict):
        detail = "X-MS-CLIENT-PRINCIPAL is not a principal of the platform."
        raise InvalidCredential(detail, reason="platform_claims_invalid", way=PrincipalKind.EASY_AUTH)
    return body


def _list_claims(body: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    claims = body.get("claims")
    return [
        claim
        for claim in (claims if isinstance(claims, list) else ())
        if isinstance(claim, dict) and isinstance(claim.get("typ"), str) and isinstance(claim.get("val"), str)
    ]


FRESH_TIME = 3600.0
"""Seconds for which fetched keys are used without another fetch."""
STALE_TIME = 86400.0
"""Seconds after the last successful fetch for which keys are used while the provider is unavailable."""
MIN_FETCH_INTERVAL = 60.0
"""Seconds between two fetches that unknown keys cause."""
RETRY_INTERVAL = 10.0
"""Seconds until the next fetch after a failed one."""
FETCH_TIMEOUT = 5.0
_MAX_BYTES = 256 * 1024
_MAX_KEYS = 200
"""Of a key set: each costs some milliseconds of the event loop. A tenant has about ten."""

_log = logging.getLogger("scheduler.authentication")


class SigningKeys:
    """The keys with which Microsoft Entra ID signs tokens, read again when an unknown one appears."""

    def __init__(self, url: str, clock: Clock, open_client: Callable[[], httpx.AsyncClient] | None = None) -> None:
        """`url`: the JSON Web Key Set. `open_client`: for tests."""
        self._url = url
        self._clock = clock
        self._open_client = open_client or _open_client
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._error = ""
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> PyJWK:
        """Return the key with this id. Raises InvalidCredential, AuthenticationUnavailable."""
        is_usable = kid in self._keys and self._age() < STALE_TIME
        if self._needs_fetch(kid) and not (is_usable and self._lock.locked()):
            async with self._lock:
                if self._needs_fetch(kid):
                    await self._fetch()
        if self._age() >= STALE_TIME or (self._error and kid not in self._keys):
            detail = "Tokens cannot be verified now, because the identity provider is unavailable. Retry later."
            raise AuthenticationUnavailable(detail, reason="provider_unavailable", way=PrincipalKind.ENTRA)
        if kid not in self._keys:
            detail = "The token is signed with a key that the tenant does not have."
            raise InvalidCredential(detail, reason="token_key_unknown", way=PrincipalKind.ENTRA)
        return self._keys[kid]

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched_at

    def _needs_fetch(self, kid: str) -> bool:
        pause = RETRY_INTERVAL if self._error else MIN_FETCH_INTERVAL
        if self._clock.monotonic() - self._tried_at < pause:
            return False
        return kid not in self._keys or self._age() >= FRESH_TIME

    async def _fetch(self) -> None:
        try:
            self._keys = await self._read()
        except Exception as error:
            reason = type(error).__name__
            if reason == "ProxyError":  # its text is ours
                reason = str(error)
            if not self._error:
                _log.warning(
                    "could not fetch the signing keys %s: %s; those fetched before stay valid for %d hours",
                    self._url,
                    reason,
                    STALE_TIME // 3600,
                )
            self._error = reason
        else:
            self._fetched_at, self._error = self._clock.monotonic(), ""
        self._tried_at = self._clock.monotonic()

    async def _read(self) -> Mapping[str, PyJWK]:
        from jwt import PyJWK

        async with self._open_client() as client:
            response = await fetch(client, "GET", self._url, limit=_MAX_BYTES, timeout_s=FETCH_TIMEOUT)
        if not response.is_success:
            raise ValueError(f"the provider responded with status {response.status}")
        keys = response.parse_json()["keys"]
        found = {each["kid"]: PyJWK(each, "RS256") for each in keys[:_MAX_KEYS] if _is_signing_key(each)}
        if not found:
            raise ValueError("the key set has no RSA key")
        return found


def _is_signing_key(key: Mapping[str, Any]) -> bool:
    return key.get("kty") == "RSA" and key.get("use", "sig") == "sig" and isinstance(key.get("kid"), str)


def _open_client() -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(timeout=FETCH_TIMEOUT, follow_redirects=False, trust_env=False)


LEEWAY = 60
"""Seconds by which the clocks of provider and scheduler may differ."""
_LAST_INSTANT = 253_402_300_800
"""Seconds of the year 10000. Compared with it, neither infinity nor NaN is a number."""
MAX_TOKEN_LENGTH = 16 * 1024
_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash")
_CALLER_CLAIMS = ("azp", "appid")
"""The app that requested an access token: v2, v1. An ID token has neither."""


@dataclass(frozen=True, slots=True)
class EntraTenant:
    """`authority`: such as https://login.microsoftonline.com. `audiences`: client id, Application ID URI, or both."""

    tenant: str
    audiences: Sequence[str]
    authority: str

    @property
    def issuers(self) -> Sequence[str]:
        """The issuers of v2 and v1 tokens."""
        return (f"{self.authority.rstrip('/')}/{self.tenant}/v2.0", f"https://sts.windows.net/{self.tenant}/")

    @property
    def keys_url(self) -> str:
        return f"{self.authority.rstrip('/')}/{self.tenant}/discovery/v2.0/keys"


_OPTIONS: Any = {
    "require": ["exp", "iss", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}
"""EntraTokens checks the times itself, with its clock."""


class EntraTokens:
    """Verifies access tokens of Microsoft Entra ID."""

    def __init__(self, tenant: EntraTenant, keys: SigningKeys, roles: RoleMap, clock: Clock) -> None:
        self._tenant = tenant
        self._keys = keys
        self._roles = roles
        self._clock = clock

    async def verify(self, token: str) -> Authenticated:
        """Return the caller with this token. Raises AuthenticationError."""
        key = await self._keys.find(_read_key_id(token))
        claims = self._decode(token, key)
        self._check(claims)
        name = _read_name(claims)
        principal = self._roles.find_principal(PrincipalKind.ENTRA, name, claims.get("roles"))
        return Authenticated(principal, valid_until=datetime.fromtimestamp(claims["exp"], UTC))

    def _decode(self, token: str, key: Any) -> Mapping[str, Any]:
        import jwt

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=list(self._tenant.audiences),
                issuer=list(self._tenant.issuers),
                options=_OPTIONS,
            )
        except jwt.InvalidTokenError as error:
            problem = _PROBLEMS.get(type(error).__name__, "is not valid")
            raise _invalid(f"The token {problem}.", _reason(error)) from None
        return claims

    def _check(self, claims: Mapping[str, Any]) -> None:
        """Check what the library does not: its clock is not ours, and it knows no tenant and no kinds of tokens."""
        now = self._clock.now().timestamp()
        if not _is_number(claims["exp"]) or now >= claims["exp"] + LEEWAY:
            raise _invalid("The token has expired.", "token_expired")
        if "nbf" in claims and (not _is_number(claims["nbf"]) or now < claims["nbf"] - LEEWAY):
            raise _invalid("The token is not valid yet.", "token_early")
        if str(claims.get("tid", "")).lower() != self._tenant.tenant:
            raise _invalid("The token belongs to another tenant.", "token_tenant")
        if any(claim in claims for claim in _ID_TOKEN_CLAIMS) or not any(claim in claims for claim in _CALLER_CLAIMS):
            raise _invalid("The token is not an access token. Request one for this API, not an ID token.", "token_kind")


def _read_key_id(token: str) -> str:
    """Return the id of the key of a token that claims to be signed with RS256."""
    import jwt

    if len(token) > MAX_TOKEN_LENGTH:
        raise _invalid("The token is too long.", "token_malformed")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise _invalid("The bearer token is neither an API key nor a JSON Web Token.", "token_malformed") from None
    if header.get("alg") != "RS256":
        raise _invalid("The token is not signed with RS256.", "token_algorithm")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise _invalid("The token does not name its key.", "token_malformed")
    return kid


def _read_name(claims: Mapping[str, Any]) -> str:
    """Return the name of a user or the client id of an app; the object id if there is neither."""
    for claim in ("preferred_username", "upn", "appid", "azp", "oid"):
        if isinstance(claims.get(claim), str) and claims[claim]:
            return str(claims[claim])[:200]
    return str(claims.get("sub", "unknown"))[:200]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LAST_INSTANT


def _invalid(detail: str, reason: str) -> InvalidCredential:
    return InvalidCredential(detail, reason=reason, way=PrincipalKind.ENTRA)


def _reason(error: Exception) -> str:
    return _REASONS.get(type(error).__name__, "token_invalid")


_PROBLEMS = {
    "InvalidAudienceError": "is for another audience",
    "InvalidIssuerError": "has another issuer",
    "InvalidSignatureError": "has an invalid signature",
    "MissingRequiredClaimError": "lacks a required claim",
}
_REASONS = {
    "InvalidAudienceError": "token_audience",
    "InvalidIssuerError": "token_issuer",
    "InvalidSignatureError": "token_signature",
}
