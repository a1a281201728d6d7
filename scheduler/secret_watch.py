"""What happens to the secrets that jobs use: new versions, dates of expiry, what can be read. Built by scheduler.app.

An event of the vault, or a person, reaches one process; the others hear of it by the store, within LOOK_EVERY seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.checks.binding.rules import ANYTHING, Bindings
from jobs.definition import JobDefinition
from jobs.errors import SecretUnavailable
from jobs.model import secret_names
from jobs.ports import Clock
from scheduler.catalog import Catalog
from scheduler.stores.port import Store, StoreError
from scheduler.stores.secret_news import Expiry, News, SecretNews

LOOK_EVERY = 15.0
"""Seconds between two looks at the store."""

PART = "secrets"
"""The part of health that telemetry tells of."""

_log = logging.getLogger("scheduler.secrets")


class Origin(Protocol):
    @property
    def source(self) -> str: ...

    @property
    def read_at(self) -> datetime: ...


class Trouble(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def message(self) -> str: ...


class Kept(Protocol):
    """The secrets as the checks get them (config.secrets)."""

    async def get(self, name: str) -> str: ...

    def drop(self, name: str) -> None:
        """Read it again at the next use."""
        ...

    def origin(self, name: str) -> Origin | None: ...

    def health(self) -> Sequence[Trouble]: ...


class Listener(Protocol):
    """Telemetry, as it is seen from here."""

    def watchdog(self, part: str, message: str, *, well: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret that jobs use, never its value. `source` and `read_at` None: this process has not read it yet."""

    name: str
    jobs: tuple[str, ...]
    source: str | None
    read_at: datetime | None
    trouble: str
    """Why it cannot be had; empty if it can, or if nobody has tried."""
    expiry: Expiry | None
    hosts: tuple[str, ...] | None = None
    """Which hosts may get it, by the settings; None: all."""
    tags: tuple[str, ...] = ()
    """It is for jobs with one of these tags alone, if there are any."""


class SecretWatch:
    """`bindings`: which hosts may get which secret."""

    def __init__(
        self,
        store: Store,
        kept: Kept,
        catalog: Catalog,
        listener: Listener,
        clock: Clock,
        bindings: Bindings = ANYTHING,
    ) -> None:
        self._bindings = bindings
        self._news = SecretNews(store)
        self._kept = kept
        self._catalog = catalog
        self._listener = listener
        self._clock = clock
        self._known = News()
        self._looked_at = float("-inf")
        # By the definition's id, and with it, so that the id stays its own: to read 10,000 of them takes a while.
        self._read: dict[int, tuple[JobDefinition, frozenset[str]]] = {}

    async def look(self) -> None:
        """Hear of new versions, unless that was done a moment ago. A store that is away is no trouble of a secret."""
        now = self._clock.monotonic()
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        try:
            self._take(await self._news.get())
        except StoreError as error:
            _log.warning("whether secrets have new versions is not known now: %s", error)

    async def new_version(self, name: str, stamp: str) -> bool:
        """A secret has a new version: every process reads it at its next use. `stamp`: another text each time.

        Returns whether a job uses it; the others are left alone. Raises StoreError.
        """
        plain = plain_name(name)
        if plain not in self._used():
            return False
        before, after = await self._news.change(lambda news: news.with_version(plain, stamp))
        self._take(after)
        if plain in before.expiring:
            self._listener.watchdog(PART, f"the secret {plain} has a new version", well=True)
        else:
            _log.info("the secret %s has a new version, which is read at its next use", plain)
        return True

    async def expires(self, name: str, expiry: Expiry) -> bool:
        """The vault says that a secret expires soon, or that it has. Returns as `new_version`. Raises StoreError."""
        plain = plain_name(name)
        if plain not in self._used():
            return False
        before, after = await self._news.change(lambda news: news.with_expiry(plain, expiry))
        self._take(after)
        if before.expiring.get(plain) != expiry:
            self._listener.watchdog(PART, expiry_sentence(plain, expiry), well=False)
        return True

    def expiring(self) -> Sequence[str]:
        """A sentence about each secret that jobs use and that expires soon, or has."""
        if not self._known.expiring:
            return ()
        used = self._used()
        return [expiry_sentence(name, each) for name, each in sorted(self._known.expiring.items()) if name in used]

    def is_used(self, name: str) -> bool:
        """Whether a job uses this secret now."""
        return plain_name(name) in self._used()

    async def views(self, *, read: bool = False) -> Sequence[SecretView]:
        """Every secret that jobs use, by name. `read`: read each of them first, as an attempt would."""
        await self.look()
        names = self._names()
        troubles = {trouble.name: trouble.message for trouble in self._kept.health()}
        if read:
            troubles = dict(zip(names, await asyncio.gather(*map(self._try, names)), strict=True))
        return [self._view(name, tuple(jobs), troubles.get(name, "")) for name, jobs in sorted(names.items())]

    async def view(self, name: str) -> SecretView | None:
        """One of them, read as an attempt would; None if no job uses it."""
        found = next((each for each in self._names() if plain_name(each) == plain_name(name)), None)
        if found is None:
            return None
        trouble = await self._try(found)
        return self._view(found, tuple(self._names()[found]), trouble)

    async def _try(self, name: str) -> str:
        try:
            await self._kept.get(name)
        except SecretUnavailable as error:
            return str(error)
        return ""

    def _view(self, name: str, jobs: tuple[str, ...], trouble: str) -> SecretView:
        origin, rule = self._kept.origin(name), self._bindings.of_secret(name)
        return SecretView(
            name=name,
            jobs=jobs,
            source=None if origin is None else origin.source,
            read_at=None if origin is None else origin.read_at,
            trouble=trouble,
            expiry=self._known.expiring.get(plain_name(name)),
            hosts=None if rule is None else tuple(map(str, rule.hosts)),
            tags=() if rule is None else tuple(map(str, rule.tags)),
        )

    def _take(self, news: News) -> None:
        for name, stamp in news.stamps.items():
            if self._known.stamps.get(name) != stamp:
                self._kept.drop(name)
        self._known = news

    def _used(self) -> frozenset[str]:
        return frozenset(map(plain_name, self._names()))

    def _names(self) -> Mapping[str, list[str]]:
        """The secrets that the checks of all jobs use, and by which jobs each is used."""
        read, found = self._read, dict[str, list[str]]()
        self._read = {}
        for entry in self._catalog:
            job = entry.job
            _, names = known = read.get(id(job)) or (job, secret_names(job.check))
            self._read[id(job)] = known
            for name in names:
                found.setdefault(name, []).append(job.name)
        return found


def plain_name(name: str) -> str:
    """A name as the vault compares it: `_` is `-` there, and capitals do not count."""
    return name.replace("_", "-").lower()


def expiry_sentence(name: str, expiry: Expiry) -> str:
    """`the secret a expires on 2026-12-01 10:00:00Z: add a new version to the vault`."""
    verb = "has expired" if expiry.past else "expires"
    date = "" if expiry.at is None else f" on {expiry.at:%Y-%m-%d %H:%M:%S}Z"
    return f"the secret {name} {verb}{date or ('' if expiry.past else ' soon')}: add a new version to the vault"
