"""Events of Key Vault, by way of Event Grid, as what the program does with them. Called by triggers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from scheduler.secrets.monitor import SecretMonitor
from scheduler.stores.secret_versions import SecretExpiry

NEW_VERSION = "Microsoft.KeyVault.SecretNewVersionCreated"
NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"
EXPIRED = "Microsoft.KeyVault.SecretExpired"

_log = logging.getLogger("scheduler.hosts.functions")


async def handle_vault_event(monitor: SecretMonitor, vault_url: str | None, kind: str, data: Mapping[str, Any]) -> None:
    """Pass one event on; those of other vaults, of other kinds and of secrets that no job uses are left alone.

    Raises StoreError: the platform delivers the event again.
    """
    name, vault = str(data.get("ObjectName") or ""), str(data.get("VaultName") or "")
    if not name or kind not in (NEW_VERSION, NEAR_EXPIRY, EXPIRED) or not _is_configured_vault(vault, vault_url):
        _log.info("an event is left alone: %s of the vault %s", kind, vault)
        return
    if kind == NEW_VERSION:
        used = await monitor.record_new_version(name, str(data.get("Version") or data.get("Id") or ""))
    else:
        used = await monitor.record_expiry(
            name, SecretExpiry(_parse_epoch_seconds(data.get("EXP")), past=kind == EXPIRED)
        )
    if not used:
        _log.info("an event is left alone: no job uses the secret %s", name)


def _is_configured_vault(vault: str, vault_url: str | None) -> bool:
    host = urlsplit(vault_url or "").hostname or ""
    return bool(host) and vault.lower() == host.partition(".")[0]


def _parse_epoch_seconds(seconds: object) -> datetime | None:
    """`EXP` is the second since 1970, as a number or as a text."""
    try:
        return datetime.fromtimestamp(float(str(seconds)), UTC)
    except (ValueError, OverflowError, OSError):
        return None
