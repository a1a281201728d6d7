"""Hides literal credentials in definitions from callers below the role admin. Pure.

Called by scheduler.queries and scheduler.api.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.warnings.credentials import mask_field, mask_literal_credentials
from scheduler.identity.principal import Principal, Role

_AUDITED_STATES = ("before", "after")


def show_definition(definition: Mapping[str, Any], principal: Principal) -> Mapping[str, Any]:
    """Return the definition as the principal sees it."""
    return definition if principal.role is Role.ADMIN else mask_literal_credentials(definition)


def mask_audit_entry(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of an audit entry with masked definitions and differences; the same object if none has any."""
    masked = {
        key: _mask_state(state)
        for key in _AUDITED_STATES
        if isinstance(state := fields.get(key), dict) and ("definition" in state or "differences" in state)
    }
    changed = {key: state for key, state in masked.items() if state != fields[key]}
    return {**fields, **changed} if changed else fields


def _mask_state(state: Mapping[str, Any]) -> Mapping[str, Any]:
    masked = dict(state)
    if "definition" in state:
        masked["definition"] = mask_literal_credentials(state["definition"])
    if isinstance(state.get("differences"), dict):
        masked["differences"] = {job: _mask_differences(each) for job, each in state["differences"].items()}
    return masked


def _mask_differences(differences: Any) -> Any:
    if not isinstance(differences, list):
        return differences
    return [_mask_difference(each) if isinstance(each, dict) else each for each in differences]


def _mask_difference(difference: Mapping[str, Any]) -> Mapping[str, Any]:
    path = str(difference.get("path"))
    return {key: mask_field(path, value) if key in _AUDITED_STATES else value for key, value in difference.items()}
