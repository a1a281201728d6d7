"""The secrets that stand in the settings themselves, for the redactor."""

from __future__ import annotations

from collections.abc import Iterator

from config.settings.model import Settings

_SECRET_PARTS = ("accountkey", "sharedaccesssignature")


def find_settings_secrets(settings: Settings) -> Iterator[str]:
    """API keys and connection strings, and the keys inside these, which may turn up alone."""
    held = (
        settings.datadog.api_key,
        settings.storage.connection_string,
        settings.application_insights.connection_string,
        settings.otlp.headers,
    )
    for one in held:
        if one is not None:
            value = one.get_secret_value()
            yield value
            yield from _find_account_keys(value)
    for value in settings.otlp.header_values().values():
        yield value
        yield from value.split()[1:]  # the token after its scheme, such as Bearer


def _find_account_keys(connection_string: str) -> Iterator[str]:
    for part in connection_string.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() in _SECRET_PARTS and value:
            yield value
