"""The rules of the settings groups `secrets` and `identity`, for the checks. Called by scheduler.app and `validate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from config.settings.binding_rules import HostRule
from config.settings.model import Settings
from jobs.checks.binding.names import (
    ProtectedResource,
    normalize_scope,
    normalize_secret_name,
    parse_host_pattern,
    parse_tag,
)
from jobs.checks.binding.rules import BindingRule, BindingRules, Bindings


def build_bindings(settings: Settings) -> Bindings:
    """Return the rules."""
    secrets, identity = settings.secrets, settings.identity
    return Bindings(
        secrets=_build_rules(secrets.allow, normalize_secret_name),
        scopes=_build_rules(identity.allow, normalize_scope),
        unbound_secrets=secrets.unbound == "allow",
        unbound_scopes=identity.unbound == "allow",
        own_resources=tuple(_find_own_resources(settings)),
        own_services=frozenset(_find_own_services(settings)),
    )


def _build_rules(rules: Mapping[str, HostRule] | None, plain: Callable[[str], str]) -> BindingRules:
    return BindingRules(
        {
            plain(name): BindingRule(tuple(map(parse_host_pattern, rule.hosts)), tuple(map(parse_tag, rule.tags)))
            for name, rule in (rules or {}).items()
        }
    )


def _find_own_resources(settings: Settings) -> Iterator[str]:
    """Yield the hosts of the program's own store, job files and vault."""
    storage = settings.storage
    for url in (settings.key_vault_url, settings.jobs_container, storage.table_url, storage.queue_url):
        if url is not None and (host := urlsplit(url).hostname):
            yield host


def _find_own_services(settings: Settings) -> Iterator[ProtectedResource]:
    """Yield what the program's own identity opens for itself: a token for one account is one for all of them."""
    if settings.key_vault_url is not None:
        yield ProtectedResource.VAULT
    if settings.uses_azure_storage or settings.jobs_container is not None:
        yield ProtectedResource.STORAGE
