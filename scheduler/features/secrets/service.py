"""Follows the secrets that jobs use: new versions, expiry, and whether each can be read; reads one again on request.

An event of the vault, or a request, reaches one process; the others read it from the store within
VERSION_CHECK_INTERVAL seconds.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.definition import JobDefinition
from jobs.errors import SecretUnavailable
from jobs.formats import format_instant
from jobs.model_base import find_secret_names
from jobs.ports import Clock
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, Operation
from scheduler.errors import NotFound
from scheduler.features.secrets.models import SecretList, SecretModel
from scheduler.identity.principal import Caller
from scheduler.stores.findings import SecretExpiry, SecretVersions, SecretVersionStore
from scheduler.stores.port import Store, StoreError

VERSION_CHECK_INTERVAL = 15.0
"""Seconds between two reads of the secret versions."""

SECRETS_PART = "secrets"
"""The part of health in telemetry events."""

_log = logging.getLogger("scheduler.secrets")


class SecretOrigin(Protocol):
    @property
    def source(self) -> str: ...

    @property
    def read_at(self) -> datetime: ...


class SecretProblem(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def message(self) -> str: ...


class SecretCache(Protocol):
    """The cached secrets, as checks read them. Implemented by config.secrets."""

    async def get_secret(self, name: str) -> str: ...

    def drop(self, name: str) -> None:
        """Discard the cached value, so that the next use reads it again."""
        ...

    def origin(self, name: str) -> SecretOrigin | None: ...

    def health(self) -> Sequence[SecretProblem]: ...


class SecretEventListener(Protocol):
    """The part of telemetry that receives events about secrets."""

    def watchdog(self, part: str, message: str, *, well: bool) -> None: ...


class SecretMonitor:
    """`bindings`: the hosts that may get each secret."""

    def __init__(
        self,
        store: Store,
        cache: SecretCache,
        catalog: Catalog,
        listener: SecretEventListener,
        clock: Clock,
        bindings: Bindings = UNRESTRICTED,
    ) -> None:
        self._bindings = bindings
        self._versions = SecretVersionStore(store)
        self._cache = cache
        self._catalog = catalog
        self._listener = listener
        self._clock = clock
        self._known_versions = SecretVersions()
        self._checked_at = float("-inf")
        # By id of the definition, and with it, so that the id stays unique: parsing 10,000 definitions is slow.
        self._names_by_definition: dict[int, tuple[JobDefinition, frozenset[str]]] = {}

    async def check_versions(self) -> None:
        """Read new versions from the store, at most every VERSION_CHECK_INTERVAL seconds.

        A failure is logged and not raised.
        """
        now = self._clock.monotonic()
        if now - self._checked_at < VERSION_CHECK_INTERVAL:
            return
        self._checked_at = now
        try:
            self._apply_versions(await self._versions.read())
        except StoreError as error:
            _log.warning("could not read secret versions: %s; retrying in %g s", error, VERSION_CHECK_INTERVAL)

    async def record_new_version(self, name: str, stamp: str) -> bool:
        """Record a new version: every process reads the secret again at its next use. `stamp`: unique to the version.

        Return whether a job uses the secret; others are ignored. Raises StoreError.
        """
        plain = vault_name(name)
        if plain not in self._used_names():
            return False
        before, after = await self._versions.update(lambda news: news.with_version(plain, stamp))
        self._apply_versions(after)
        if plain in before.expiring:
            self._listener.watchdog(SECRETS_PART, f"the secret {plain} has a new version", well=True)
        else:
            _log.info("the secret %s has a new version; the next use reads it", plain)
        return True

    async def record_expiry(self, name: str, expiry: SecretExpiry) -> bool:
        """Record that a secret is about to expire or has expired.

        Returns as `record_new_version`. Raises StoreError.
        """
        plain = vault_name(name)
        if plain not in self._used_names():
            return False
        before, after = await self._versions.update(lambda news: news.with_expiry(plain, expiry))
        self._apply_versions(after)
        if before.expiring.get(plain) != expiry:
            self._listener.watchdog(SECRETS_PART, describe_expiry(plain, expiry), well=False)
        return True

    def expiry_messages(self) -> Sequence[str]:
        """Return a message for each secret of a job that is about to expire or has expired."""
        if not self._known_versions.expiring:
            return ()
        used = self._used_names()
        return [
            describe_expiry(name, each) for name, each in sorted(self._known_versions.expiring.items()) if name in used
        ]

    def expiries_of(self, job: JobDefinition) -> Sequence[tuple[str, datetime | None]]:
        """Return the secrets that the job uses, each with its end as far as the vault has announced it."""
        expiring = self._known_versions.expiring
        found = ((name, expiring.get(vault_name(name))) for name in sorted(find_secret_names(job.check)))
        return [(name, None if expiry is None else expiry.at) for name, expiry in found]

    def is_used(self, name: str) -> bool:
        """Return whether a job uses this secret now."""
        return vault_name(name) in self._used_names()

    def jobs_using(self, name: str) -> tuple[str, ...]:
        """Return the jobs that use this secret now."""
        names = self._jobs_by_secret()
        return next((tuple(jobs) for each, jobs in names.items() if vault_name(each) == vault_name(name)), ())

    async def list_secrets(self, *, read: bool = False) -> SecretList:
        """Return every secret that jobs use, sorted by name. `read`: read each first, as an attempt does."""
        await self.check_versions()
        names = self._jobs_by_secret()
        problems = {problem.name: problem.message for problem in self._cache.health()}
        if read:
            problems = dict(zip(names, await asyncio.gather(*map(self._find_read_problem, names)), strict=True))
        return SecretList(
            secrets=[self._show(name, jobs, problems.get(name, "")) for name, jobs in sorted(names.items())]
        )

    async def read_secret(self, name: str) -> SecretModel | None:
        """Read a secret as an attempt does, and return its state; None if no job uses it."""
        for used, jobs in self._jobs_by_secret().items():
            if vault_name(used) == vault_name(name):
                return self._show(used, jobs, await self._find_read_problem(used))
        return None

    async def _find_read_problem(self, name: str) -> str:
        try:
            await self._cache.get_secret(name)
        except SecretUnavailable as error:
            return str(error)
        return ""

    def _show(self, name: str, jobs: list[str], problem: str) -> SecretModel:
        origin, rule = self._cache.origin(name), self._bindings.secret_rule(name)
        expiry = self._known_versions.expiring.get(vault_name(name))
        return SecretModel(
            name=name,
            jobs=jobs,
            source=None if origin is None else origin.source,
            read_at=None if origin is None else origin.read_at,
            error=problem,
            expires_at=None if expiry is None else expiry.at,
            is_expiring=expiry is not None,
            expired=expiry is not None and expiry.past,
            hosts=None if rule is None else list(map(str, rule.hosts)),
            tags=[] if rule is None else list(map(str, rule.tags)),
        )

    def _apply_versions(self, news: SecretVersions) -> None:
        for name, stamp in news.stamps.items():
            if self._known_versions.stamps.get(name) != stamp:
                self._cache.drop(name)
        self._known_versions = news

    def _used_names(self) -> frozenset[str]:
        return frozenset(map(vault_name, self._jobs_by_secret()))

    def _jobs_by_secret(self) -> Mapping[str, list[str]]:
        """Return the jobs that use each secret, by secret."""
        read, jobs = self._names_by_definition, dict[str, list[str]]()
        self._names_by_definition = {}
        for entry in self._catalog:
            job = entry.job
            _, names = job_and_names = read.get(id(job)) or (job, find_secret_names(job.check))
            self._names_by_definition[id(job)] = job_and_names
            for name in names:
                jobs.setdefault(name, []).append(job.name)
        return jobs


def vault_name(name: str) -> str:
    """Return a name in the form that the vault compares: `-` instead of `_`, lower case."""
    return name.replace("_", "-").lower()


def describe_expiry(name: str, expiry: SecretExpiry) -> str:
    """Return `the secret a expires on 2026-12-01 10:00:00Z: add a new version to the vault`."""
    verb = "has expired" if expiry.past else "expires"
    date = "" if expiry.at is None else f" on {format_instant(expiry.at)}"
    return f"the secret {name} {verb}{date or ('' if expiry.past else ' soon')}: add a new version to the vault"


class SecretRefresher(Operation):
    def __init__(self, monitor: SecretMonitor, audit: AuditTrail) -> None:
        self._monitor = monitor
        self._audit = audit

    async def refresh(self, name: str, *, caller: Caller) -> SecretModel:
        """Read a secret again: in this process now, in others at its first use after at most 15 s.

        Raises:
            NotFound: no job uses a secret of that name.
            StoreError: nothing was changed.
        """
        jobs = self._monitor.jobs_using(name)
        if not jobs:
            raise NotFound(f"no job uses a secret named {name!r}")
        change = AuditedChange("secret.refresh", name, f"secret {name} was refreshed", jobs)
        async with audited(self._audit, caller, change):
            await self._monitor.record_new_version(name, secrets.token_hex(8))
        secret = await self._monitor.read_secret(name)
        if secret is None:
            raise NotFound(f"no job uses a secret named {name!r} any longer")
        return secret
