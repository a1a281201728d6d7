"""The name under which the program reports. Used by the exporters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from config.settings.model import Settings

DEFAULT_SERVICE_NAME = "scheduler"
_PLATFORM_NAMES = ("WEBSITE_SITE_NAME", "CONTAINER_APP_NAME")
"""The app's name on App Service (and Functions), and on Container Apps."""


def find_cloud_role(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the service's name for Application Insights: as configured, else the platform's name of the app."""
    return _configured_name(settings, environ) or _name_of_platform(environ) or DEFAULT_SERVICE_NAME


def find_datadog_service(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the `service` tag: Datadog's own setting, else OpenTelemetry's; never the platform's name of the app."""
    return settings.datadog.service or _configured_name(settings, environ) or DEFAULT_SERVICE_NAME


def _configured_name(settings: Settings, environ: Mapping[str, str]) -> str | None:
    return settings.service_name or _name_in_attributes(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))


def _name_in_attributes(text: str) -> str | None:
    """`service.name` of `key=value,key=value`, whose values are percent-encoded."""
    pairs = (part.partition("=") for part in text.split(","))
    names = {key.strip(): unquote(value.strip()) for key, _, value in pairs}
    return names.get("service.name") or None


def _name_of_platform(environ: Mapping[str, str]) -> str | None:
    return next((name for key in _PLATFORM_NAMES if (name := environ.get(key, "").strip())), None)
