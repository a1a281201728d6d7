"""A secret's value by its name: from the environment, else from Key Vault. Implements jobs.ports.Secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from config.identity import Identity
from config.kept_values import Trouble
from config.layers import SECRET_PREFIX, is_unresolved, unresolved_sentence
from config.secrets.key_vault import KeyVault
from config.secrets.known import secret_values
from config.settings import Settings
from jobs.errors import SecretUnavailable
from jobs.ports import Clock
from jobs.redaction import Redactor


def build_secrets(
    settings: Settings,
    identity: Identity,
    redactor: Redactor,
    clock: Clock,
    *,
    environ: Mapping[str, str] | None = None,
    vault_options: Mapping[str, Any] | None = None,
) -> SecretChain:
    """The secrets as the settings say; those in the settings themselves are registered with the redactor.

    `vault_options` go to the vault's SecretClient: tests hand over the authority of their own vault.
    """
    for value in secret_values(settings):
        redactor.add(value)
    vault = None
    if settings.key_vault_url is not None:
        vault = KeyVault(settings.key_vault_url, identity, clock, vault_options or {})
    return SecretChain(os.environ if environ is None else environ, vault, redactor)


class SecretChain:
    """`checkout-token` is the variable SCHEDULER_SECRET_CHECKOUT_TOKEN, else the vault's secret of that name."""

    def __init__(self, environ: Mapping[str, str], vault: KeyVault | None, redactor: Redactor) -> None:
        self._environ = environ
        self._vault = vault
        self._redactor = redactor

    async def get(self, name: str) -> str:
        """The value now, registered with the redactor.

        Raises:
            SecretUnavailable: says where it was looked for and how to mend it.
        """
        value = self._from_environment(name)
        if value is None:
            value = await self._from_vault(name)
        self._redactor.add(value)
        return value

    def health(self) -> tuple[Trouble, ...]:
        """The vault's secrets that could not be had when last asked; with `stale` their kept value is used."""
        return self._vault.troubles() if self._vault is not None else ()

    async def aclose(self) -> None:
        """Close the vault's client. The identity stays open: it is not ours."""
        if self._vault is not None:
            await self._vault.aclose()

    def _from_environment(self, name: str) -> str | None:
        variable = variable_of(name)
        value = self._environ.get(variable)
        if not value:
            return None
        if is_unresolved(value):
            raise SecretUnavailable(f"secret {name}: {unresolved_sentence(variable)}")
        return value

    async def _from_vault(self, name: str) -> str:
        if self._vault is None:
            raise SecretUnavailable(
                f"secret {name}: the variable {variable_of(name)} is not set, and there is no Key Vault to ask; "
                "set the variable, or SCHEDULER_KEY_VAULT_URL"
            )
        return await self._vault.get(name)


def variable_of(name: str) -> str:
    """The variable that may hold this secret."""
    return SECRET_PREFIX + name.upper().replace("-", "_")
