"""Handles Key Vault events that Event Grid delivers. Called by triggers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from scheduler.features.secrets.service import SecretMonitor
from scheduler.stores.findings import SecretExpiry

NEW_VERSION = "Microsoft.KeyVault.SecretNewVersionCreated"
NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"
EXPIRED = "Microsoft.KeyVault.SecretExpired"

_log = logging.getLogger("scheduler.hosts.functions")


async def handle_vault_event(monitor: SecretMonitor, vault_url: str | None, kind: str, data: Mapping[str, Any]) -> None:
    """Record the event; ignore events of other vaults, of other kinds, and of secrets that no job uses.

    Raises StoreError: the platform delivers the event again.
    """
    name, vault = str(data.get("ObjectName") or ""), str(data.get("VaultName") or "")
    if not name or kind not in (NEW_VERSION, NEAR_EXPIRY, EXPIRED) or not _is_configured_vault(vault, vault_url):
        _log.info("ignored event %s of vault %s: not a change of a secret in the configured vault", kind, vault)
        return
    if kind == NEW_VERSION:
        used = await monitor.record_new_version(name, str(data.get("Version") or data.get("Id") or ""))
    else:
        used = await monitor.record_expiry(
            name, SecretExpiry(_parse_epoch_seconds(data.get("EXP")), past=kind == EXPIRED)
        )
    if not used:
        _log.info("ignored event %s of secret %s: no job uses it", kind, name)


def _is_configured_vault(vault: str, vault_url: str | None) -> bool:
    host = urlsplit(vault_url or "").hostname or ""
    return bool(host) and vault.lower() == host.partition(".")[0]


def _parse_epoch_seconds(seconds: object) -> datetime | None:
    """Parse `EXP`: seconds since 1970, as a number or as a string."""
    try:
        return datetime.fromtimestamp(float(str(seconds)), UTC)
    except (ValueError, OverflowError, OSError):
        return None
