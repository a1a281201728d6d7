"""The settings that telemetry needs, also while others are wrong. Called by scheduler.app before anything else is read.

Without it, a configuration that cannot be used would be reported on the console alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from config.errors import ConfigurationError
from config.layers import variable_layer, without_unresolved
from config.loading import environment_of, load_settings
from config.settings import Settings

_NEEDED = ("environment", "version", "service_name", "log", "application_insights", "datadog", "telemetry")


def settings_for_telemetry(environ: Mapping[str, str], *, root: Path) -> Settings:
    """Return the settings, or, if they are wrong, those of telemetry that the environment variables hold.

    A group of these that is wrong itself has its defaults. Never raises ConfigurationError.
    """
    with suppress(ConfigurationError):
        return load_settings(environ, root=root).settings
    environment = environment_of(environ, root=root)
    layer, _ = variable_layer(environ, environment, Path.cwd())
    values, _ = without_unresolved(layer)
    usable: dict[str, object] = {}
    for name in _NEEDED:
        if name in values:
            with suppress(ValidationError):
                Settings.model_validate({name: values[name]})
                usable[name] = values[name]
    return Settings.model_validate(usable)
