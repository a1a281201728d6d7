"""A secret's value by its name: from the environment, a mounted file, else Key Vault. Implements jobs.ports.Secrets.

The secrets of the settings themselves are listed for the redactor.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from config.identity import AppIdentity
from config.outbound import build_outbound
from config.secrets.files import FolderLocator, SecretFiles, VariableLocator, file_variable_name, secret_variable_name
from config.secrets.key_vault import KeyVault
from config.settings.layers import is_unresolved, unresolved_message
from config.settings.model import Settings
from jobs.errors import SecretUnavailable
from jobs.formats import format_instant
from jobs.ports import Clock, CredentialRefresh
from jobs.redaction import Redactor
from jobs.redaction.value_holders import LONG_SECRET, CurrentSecrets
from jobs.refreshing_cache import FetchFailure

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


def build_secrets(
    settings: Settings,
    identity: AppIdentity,
    redactor: Redactor,
    clock: Clock,
    *,
    environ: Mapping[str, str] | None = None,
    vault_options: Mapping[str, Any] | None = None,
) -> SecretChain:
    """The secrets as the settings say; those in the settings themselves are registered with the redactor.

    `vault_options` are passed to the vault's SecretClient: tests pass the authority of their test vault.
    """
    outbound = build_outbound(settings)
    for value in (*find_settings_secrets(settings), *outbound.secrets):
        redactor.add_permanent(value)
    vault = None
    if settings.key_vault_url is not None:
        vault = KeyVault(settings.key_vault_url, identity, clock, vault_options or {}, outbound)
    return SecretChain(os.environ if environ is None else environ, settings.secrets_folder, vault, redactor, clock)


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a value comes from, in words, and when it was read."""

    source: str
    read_at: datetime


class SecretChain:
    """`checkout-token` is the variable SCHEDULER_SECRET_CHECKOUT_TOKEN, or the file that the variable
    SCHEDULER_SECRET_CHECKOUT_TOKEN_FILE names, else the file `checkout-token` of the secrets' folder, else the vault's
    secret of that name.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        folder: Path | None,
        vault: KeyVault | None,
        redactor: Redactor,
        clock: Clock,
    ) -> None:
        self._environ = environ
        self._folder = folder
        self._variables = VariableLocator(environ)
        self._variable_files = SecretFiles(self._variables, clock)
        self._folder_files = None if folder is None else SecretFiles(FolderLocator(folder), clock)
        self._vault = vault
        self._redactor = redactor
        self._current_values = CurrentSecrets(redactor)
        self._clock = clock
        self._started_at = clock.now()
        self._origins: dict[str, SecretSource] = {}
        self._missing_secrets: dict[str, FetchFailure] = {}

    async def get_secret(self, name: str) -> str:
        """The value now, registered with the redactor.

        Raises:
            SecretUnavailable: with the searched sources and the fix.
        """
        return await self._read(name)

    async def refresh_rejected(self, name: str, rejected: str) -> CredentialRefresh:
        """Read the file or the vault again, after a target rejected the value; a variable cannot change."""
        why = ""
        try:
            value = await self._read(name, rejected)
        except SecretUnavailable as error:
            value, why = rejected, f", and cannot be read now: {error}"
        if value != rejected:
            return CredentialRefresh(is_changed=True, message=f"the secret {name} had been changed and was read again")
        origin = self._origins.get(name)
        still = f"is unchanged in {origin.source} since {format_instant(origin.read_at)}" if origin else "was read"
        return CredentialRefresh(is_changed=False, message=f"the secret {name} {still}{why}")

    def drop(self, name: str) -> None:
        """There is a new version in the vault: it is read at the next use."""
        if self._vault is not None:
            self._vault.mark_stale(name)

    def origin(self, name: str) -> SecretSource | None:
        """Where its value was read last; None before the first use."""
        return self._origins.get(name)

    def health(self) -> tuple[FetchFailure, ...]:
        """Return the secrets whose last read failed."""
        files = tuple(failure for files in self._all_files() for failure in files.fetch_failures())
        vault = self._vault.fetch_failures() if self._vault is not None else ()
        return (*self._missing_secrets.values(), *files, *vault)

    async def unresolved(self) -> tuple[str, ...]:
        """A sentence about each mounted file that holds the text of a Key Vault reference: the app is not ready."""
        return tuple([sentence for files in self._all_files() for sentence in await files.unresolved()])

    @property
    def vault_url(self) -> str | None:
        return None if self._vault is None else self._vault.url

    async def aclose(self) -> None:
        """Close the vault's client. The identity stays open: it is not ours."""
        if self._vault is not None:
            await self._vault.aclose()

    async def _read(self, name: str, refused: str | None = None) -> str:
        """Return the value, and record its origin. `refused`: try to find another value than this."""
        value = self._from_environment(name)
        if value is None:
            value = await self._from_files(name, now=refused is not None)
        if value is None:
            value = await self._from_vault(name, refused)
        if self._missing_secrets:
            self._missing_secrets.pop(name, None)
        if len(value) > LONG_SECRET and not self._redactor.is_registered(value):
            await asyncio.to_thread(self._current_values.set, name, value)
        else:
            self._current_values.set(name, value)
        return value

    def _record_missing(self, name: str, sentence: str) -> SecretUnavailable:
        """Record a secret that neither files nor vault have, for health."""
        before = self._missing_secrets.get(name)
        since = self._clock.now() if before is None else before.since
        self._missing_secrets[name] = FetchFailure(name, since, sentence, is_stale_value_used=False)
        return SecretUnavailable(sentence)

    def _from_environment(self, name: str) -> str | None:
        variable = secret_variable_name(name)
        value = self._environ.get(variable)
        if not value:
            return None
        if os.path.isabs(self._environ.get(file_variable_name(name), "").strip()):
            message = f"secret {name}: {variable} and {file_variable_name(name)} are set; set one of them"
            raise self._record_missing(name, message)
        if is_unresolved(value):
            raise self._record_missing(name, f"secret {name}: {unresolved_message(variable)}")
        self._origins[name] = SecretSource(f"the variable {variable}", self._started_at)
        return value

    def _all_files(self) -> Iterator[SecretFiles]:
        yield self._variable_files
        if self._folder_files is not None:
            yield self._folder_files

    async def _from_files(self, name: str, *, now: bool) -> str | None:
        if self._variables.has(name):
            secret = await self._variable_files.read_secret(name, now=now)
        else:
            secret = None if self._folder_files is None else await self._folder_files.read_secret(name, now=now)
        if secret is None:
            return None
        self._origins[name] = SecretSource(f"the file {secret.path}", secret.read_at)
        return secret.value

    async def _from_vault(self, name: str, refused: str | None) -> str:
        if self._vault is None:
            raise self._record_missing(name, self._missing_message(name))
        if refused is not None:
            await self._vault.refresh_if_equal(name, refused)
        value = await self._vault.read_secret(name)
        if (at := self._vault.read_at(name)) is not None:
            self._origins[name] = SecretSource(self._vault.url, at)
        return value

    def _missing_message(self, name: str) -> str:
        variable = secret_variable_name(name)
        if self._folder is None:
            return (
                f"secret {name}: the variable {variable} is not set, and no Key Vault is configured; "
                "set the variable, or SCHEDULER_KEY_VAULT_URL"
            )
        return (
            f"secret {name}: the variable {variable} is not set, {self._folder} has no file of that name, "
            "and no Key Vault is configured; mount the file, or set the variable or SCHEDULER_KEY_VAULT_URL"
        )
