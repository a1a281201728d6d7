"""The services that the program itself depends on: references of its self-checks, unless the settings name others.

Called by scheduler.app.alerting_setup.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from config.settings.fields import LOOPBACK_HOSTS
from config.settings.model import Settings


def list_own_services(settings: Settings) -> tuple[str, ...]:
    """Return the addresses of storage, vault and telemetry as far as they are configured, without those on this
    machine. Only scheme and host: paths and queries may contain secrets.
    """
    found: dict[str, None] = {}
    for url in _list_urls(settings):
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and parts.hostname and parts.hostname not in LOOPBACK_HOSTS:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            found[f"{parts.scheme}://{host}:{port}" if port else f"{parts.scheme}://{host}"] = None
    return tuple(found)


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
