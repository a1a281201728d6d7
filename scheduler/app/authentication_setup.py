"""Builds the authentication of the API from the settings. Called by scheduler.app.program and the hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.outbound import build_outbound, open_http_client
from config.settings.http_settings import OPEN_ENVIRONMENTS, HttpSettings
from config.settings.model import Settings
from jobs.ports import Clock
from scheduler.authentication.entra import (
    FETCH_TIMEOUT,
    EasyAuth,
    EntraTenant,
    EntraTokens,
    RoleGrant,
    RoleMap,
    SigningKeys,
)
from scheduler.authentication.own import KeyVerifier, OwnAuthenticator, Ways
from scheduler.authentication.port import (
    Authentication,
    AuthenticationMode,
    FunctionKeyAuthenticator,
    open_authentication,
)
from scheduler.authentication.sessions import SessionRules, Sessions
from scheduler.identity.principal import Role, parse_tag_limits
from scheduler.stores.identity import ApiKeys

if TYPE_CHECKING:
    from scheduler.app.program import Program

_MISSING = (
    "the API needs an identity, because it is not on loopback in dev or test: make a key with "
    "`keys create NAME --role admin`, or set http.entra (SCHEDULER_HTTP__ENTRA__TENANT) or http.easy_auth"
)


def choose_embedded_mode(settings: Settings, *, is_loopback: bool) -> AuthenticationMode:
    """Return where the embedded host authenticates callers: nowhere only on loopback in development."""
    is_open = settings.http.authentication == "open" and settings.environment in OPEN_ENVIRONMENTS
    return AuthenticationMode.OPEN if is_open and is_loopback else AuthenticationMode.OWN


def choose_functions_mode(settings: Settings) -> AuthenticationMode:
    """Return where the Functions host authenticates callers. It has no open mode."""
    own = settings.http.authentication == "own"
    return AuthenticationMode.OWN if own else AuthenticationMode.FUNCTION_KEYS


def build_authentication(program: Program) -> Authentication:
    """Return the authentication of this process. Only the chosen mode is built."""
    settings, profile = program.settings, program.profile
    mode = profile.authentication_mode(settings)
    if mode is AuthenticationMode.OPEN:
        return open_authentication()
    if mode is AuthenticationMode.FUNCTION_KEYS:
        return Authentication(FunctionKeyAuthenticator(), is_remote=True)
    is_remote, http = not profile.is_on_loopback(settings), settings.http
    keys = KeyVerifier(program.repositories.api_keys, program.clock)
    rules = SessionRules(http.session.lifetime, http.session.idle, accepts_plain=not is_remote)
    sessions = Sessions(program.repositories.sessions, keys, rules, program.clock)
    roles = _build_role_map(http)
    easy_auth = EasyAuth(roles).verify if http.easy_auth else None
    ways = Ways(_build_entra(settings, roles, program.clock), easy_auth, sessions.authenticate)
    return Authentication(OwnAuthenticator(keys, ways), sessions, http.easy_auth, is_remote)


def _build_entra(settings: Settings, roles: RoleMap, clock: Clock) -> EntraTokens | None:
    http = settings.http
    if http.entra.tenant is None or not http.entra.audience:
        return None
    tenant = EntraTenant(http.entra.tenant, http.entra.audience, http.entra.authority)
    outbound = build_outbound(settings)
    options: dict[str, Any] = {"timeout": FETCH_TIMEOUT, "follow_redirects": False, "trust_env": False}
    keys = SigningKeys(tenant.keys_url, clock, lambda: open_http_client(outbound, **options))
    return EntraTokens(tenant, keys, roles, clock)


def _build_role_map(http: HttpSettings) -> RoleMap:
    roles = http.entra.roles
    return RoleMap({name: RoleGrant(Role(roles[name].role), parse_tag_limits(roles[name].tags)) for name in roles})


class IdentityMissing(Exception):
    """Callers must be authenticated, and there is no way to do so. The message contains what to do."""


async def require_identity(program: Program) -> None:
    """Raise IdentityMissing if no caller could use the API. Raises StoreError."""
    if program.authentication.mode is not AuthenticationMode.OWN:
        return
    http = program.settings.http
    has_entra = http.entra.tenant is not None and bool(http.entra.audience) and bool(http.entra.roles)
    has_easy_auth = http.easy_auth and bool(http.entra.roles)
    if not (has_entra or has_easy_auth or await ApiKeys(program.store).has_active(program.clock.now())):
        raise IdentityMissing(_MISSING)
