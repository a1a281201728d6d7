"""The rules of the settings groups `secrets` and `identity`, for the checks. Called by scheduler.app and `validate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from config.binding_settings import HostRule
from config.settings import Settings
from jobs.checks.binding.hosts import read_host_pattern
from jobs.checks.binding.names import plain_secret
from jobs.checks.binding.rules import Bindings, Rule, Rules
from jobs.checks.binding.scopes import Protection, resource_of
from jobs.checks.binding.tags import read_tag


def bindings_of(settings: Settings) -> Bindings:
    """Return the rules."""
    secrets, identity = settings.secrets, settings.identity
    return Bindings(
        secrets=_rules(secrets.allow, plain_secret),
        scopes=_rules(identity.allow, resource_of),
        unbound_secrets=secrets.unbound == "allow",
        unbound_scopes=identity.unbound == "allow",
        own_resources=tuple(_own_resources(settings)),
        own_services=frozenset(_own_services(settings)),
    )


def _rules(rules: Mapping[str, HostRule] | None, plain: Callable[[str], str]) -> Rules:
    return Rules(
        {
            plain(name): Rule(tuple(map(read_host_pattern, rule.hosts)), tuple(map(read_tag, rule.tags)))
            for name, rule in (rules or {}).items()
        }
    )


def _own_resources(settings: Settings) -> Iterator[str]:
    """Yield the hosts of the program's own store, job files and vault."""
    storage = settings.storage
    for url in (settings.key_vault_url, settings.jobs_container, storage.table_url, storage.queue_url):
        if url is not None and (host := urlsplit(url).hostname):
            yield host


def _own_services(settings: Settings) -> Iterator[Protection]:
    """Yield what the program's own identity opens for itself: a token for one account is one for all of them."""
    if settings.key_vault_url is not None:
        yield Protection.VAULT
    if settings.on_azure_storage or settings.jobs_container is not None:
        yield Protection.STORAGE
