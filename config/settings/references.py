"""Key Vault references that the platform did not resolve. Called by config.loading and config.secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.settings.layers import SettingsLayer
from jobs.problems import Finding
from jobs.problems import KeyPath as KeyPath

_REFERENCE_PREFIX = "@microsoft.keyvault("


def split_unresolved(layer: SettingsLayer) -> tuple[dict[str, Any], list[str]]:
    """The layer's values without Key Vault references that the platform left as text, and a sentence about each."""
    sentences: list[str] = []

    def resolved(values: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
        remaining: dict[str, Any] = {}
        for key, value in values.items():
            if isinstance(value, dict):
                remaining[key] = resolved(value, (*path, key))
            elif is_unresolved(value):
                sentences.append(unresolved_message(layer.problem(Finding((*path, key), "")).key))
            else:
                remaining[key] = value
        return remaining

    return resolved(layer.values, ()), sentences


def is_unresolved(value: object) -> bool:
    """Whether a value is the text of a Key Vault reference, which the platform should have replaced."""
    return isinstance(value, str) and value.strip().lower().startswith(_REFERENCE_PREFIX)


def unresolved_message(name: str) -> str:
    """Return the message about it; never the value."""
    return (
        f"{name}: its Key Vault reference is not resolved; check that the secret exists "
        "and that the app's identity may read it"
    )
