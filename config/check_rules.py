"""What checks may reach and use by the settings (the groups `targets`, `secrets` and `identity`), and the services that
the program itself depends on: references of its self-checks, unless the settings name others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

from config.job_files.reader import is_job_file
from config.outbound import TOKEN_ENDPOINT_VARIABLES
from config.settings.fields import LOOPBACK_HOSTS, HostRule, parse_port_range
from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint
from jobs.checks.binding.names import (
    ProtectedResource,
    normalize_scope,
    normalize_secret_name,
    parse_host_pattern,
    parse_tag,
)
from jobs.checks.binding.rules import BindingRule, BindingRules, Bindings
from jobs.checks.guard import Guard, TargetRules
from jobs.checks.net.tls_contexts import CaFiles


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


_OWN_HOSTS = ("WEBSITE_HOSTNAME", "CONTAINER_APP_HOSTNAME")
"""Variables with the app's host name on the platform."""


def build_guard(
    settings: Settings, environ: Mapping[str, str], own_places: Collection[OwnEndpoint] | None = None
) -> Guard:
    """Return the guard by these settings.

    `own_places`: the addresses of the program's API; None: those of the settings.
    """
    targets = settings.targets
    if own_places is None:
        own_places = (OwnEndpoint(settings.host, settings.port),) if settings.port else ()
    sites = tuple(_find_own_addresses(environ))
    return Guard(
        TargetRules(
            networks=targets.networks,
            hosts=targets.hosts,
            ports=tuple(map(parse_port_range, targets.ports)),
            schemes=frozenset(targets.schemes),
            largest_body=targets.largest_body,
            identity_endpoints=tuple(filter(None, map(environ.get, TOKEN_ENDPOINT_VARIABLES))),
            own_endpoints=(*own_places, *(OwnEndpoint(host, port) for host, port in sites if port is not None)),
            own_hosts=tuple(host for host, port in sites if port is None),
        )
    )


def build_ca_files(settings: Settings) -> CaFiles:
    """Return what reads the `ca_file` of targets by these settings."""
    place = settings.jobs
    if place is not None and is_job_file(place.name):
        place = place.parent
    return CaFiles(settings.targets.ca_folders, () if place is None else (place,))


def _find_own_addresses(environ: Mapping[str, str]) -> Iterator[tuple[str, int | None]]:
    """Yield the app's host names on the platform, with None if all ports of the name are the app's.

    The Functions tools on a developer's machine set localhost:7071: other ports are other programs'.
    """
    for variable in _OWN_HOSTS:
        host, _, port = environ.get(variable, "").strip().partition(":")
        if host:
            yield host, int(port) if port.isdecimal() and port not in ("80", "443") else None
    app, suffix = (environ.get(f"CONTAINER_APP_{name}", "").strip() for name in ("NAME", "ENV_DNS_SUFFIX"))
    if app and suffix:
        yield f"{app}.{suffix}", None


def list_own_services(settings: Settings) -> tuple[str, ...]:
    """Return the addresses of storage, vault and telemetry as far as they are configured, without those on this
    machine. Only scheme and host: paths and queries may contain secrets.
    """
    origins: dict[str, None] = {}
    for url in _list_urls(settings):
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and parts.hostname and parts.hostname not in LOOPBACK_HOSTS:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            origins[f"{parts.scheme}://{host}:{port}" if port else f"{parts.scheme}://{host}"] = None
    return tuple(origins)


def _list_urls(settings: Settings) -> Iterator[str]:
    storage = settings.storage
    if settings.uses_azure_storage:
        named = _read_connection_string(storage.connection_string)
        account, suffix = named.get("accountname"), named.get("endpointsuffix", "core.windows.net")
        yield named.get("tableendpoint") or _service_url(account or storage.account_name, "table", suffix)
        yield named.get("queueendpoint") or _service_url(account or storage.account_name, "queue", suffix)
        yield str(storage.table_url or "")
        yield str(storage.queue_url or "")
    yield str(settings.key_vault_url or "")
    yield _read_connection_string(settings.application_insights.connection_string).get("ingestionendpoint", "")
    if settings.datadog.api_key is not None:
        yield str(settings.datadog.url or f"https://api.{settings.datadog.site}")
    yield from settings.otlp.endpoints().values()


def _service_url(account: str | None, service: str, suffix: str) -> str:
    return f"https://{account}.{service}.{suffix}" if account else ""


def _read_connection_string(value: SecretStr | None) -> dict[str, str]:
    """Return the parts by their names in lower case."""
    text = "" if value is None else value.get_secret_value()
    parts = (part.strip().partition("=") for part in text.split(";"))
    return {name.lower(): rest for name, _, rest in parts}
