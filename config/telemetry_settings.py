"""The settings that telemetry needs, also while others are wrong. Called by scheduler.app before anything else is read.

Without it, a configuration that cannot be used would be reported on the console alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from config.errors import ConfigurationError
from config.settings.layers import read_variable_layer
from config.settings.loading import find_environment, load_settings
from config.settings.model import Settings
from config.settings.references import split_unresolved

_TELEMETRY_GROUPS = (
    "environment",
    "version",
    "service_name",
    "log",
    "application_insights",
    "datadog",
    "otlp",
    "telemetry",
)


def load_telemetry_settings(environ: Mapping[str, str], *, root: Path) -> Settings:
    """Return the settings, or, if they are wrong, those of telemetry that the environment variables hold.

    A group of these that is wrong itself has its defaults. Never raises ConfigurationError.
    """
    with suppress(ConfigurationError):
        return load_settings(environ, root=root).settings
    environment = find_environment(environ, root=root)
    layer, _ = read_variable_layer(environ, environment, Path.cwd())
    values, _ = split_unresolved(layer)
    usable: dict[str, object] = {}
    for name in _TELEMETRY_GROUPS:
        if name in values:
            with suppress(ValidationError):
                Settings.model_validate({name: values[name]})
                usable[name] = values[name]
    return Settings.model_validate(usable)
