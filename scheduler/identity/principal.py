"""Principals: who has called, and what their role allows. Pure.

Made by the authentication of the API and by the commands; read where access is decided, and by the audit trail.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a principal may do. Each role includes those before it."""

    METRICS = "metrics"
    """Read the page of metrics, and nothing else."""
    VIEWER = "viewer"
    """Read jobs, runs and health."""
    OPERATOR = "operator"
    """Act on jobs, runs, circuits, secrets and dead letters."""
    ADMIN = "admin"
    """Change and delete stored objects, API keys among them."""

    def includes(self, other: Role) -> bool:
        """Return whether this role allows everything that the other one allows."""
        roles = list(Role)
        return roles.index(self) >= roles.index(other)


class PrincipalKind(StrEnum):
    """How a principal was authenticated."""

    LOCAL = "local"
    """A client on loopback, which needs no identity in dev."""
    COMMAND_LINE = "command_line"
    """A command with direct access to the store."""
    FUNCTION_KEY = "function_key"
    """The platform has checked a function key."""
    API_KEY = "api_key"
    ENTRA = "entra"
    """A bearer token of Microsoft Entra ID."""
    EASY_AUTH = "easy_auth"
    """The platform's authentication."""
    SESSION = "session"
    """A browser's session, made with one of the ways above."""
    PROGRAM = "program"
    """The scheduler itself: job files, pings."""


@dataclass(frozen=True, slots=True)
class Principal:
    """`name`: for people and the audit trail, unique within the kind, never a secret.

    `tags`: the principal sees jobs that have one of these tags only; empty: all jobs.
    """

    kind: PrincipalKind
    name: str
    role: Role
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """`api_key:deploy`: unique among all principals."""
        return f"{self.kind}:{self.name}"

    def sees(self, tags: Mapping[str, str]) -> bool:
        """Return whether a job with these tags exists for the principal."""
        return not self.tags or any(tags.get(key) == value for key, value in self.tags)

    def own_tags(self, tags: Mapping[str, str]) -> Mapping[str, str]:
        """Return those of a job's tags to which the principal is limited: others it can give to a job as it likes."""
        return {key: value for key, value in tags.items() if (key, value) in self.tags}

    def manages(self, limited_to: Collection[tuple[str, str]]) -> bool:
        """Return whether an object exists for the principal that concerns only jobs with one of these tags.

        `limited_to`: empty for an object that concerns any job.
        """
        return not self.tags or (bool(limited_to) and set(limited_to) <= set(self.tags))


LOCAL_PRINCIPAL: Final = Principal(PrincipalKind.LOCAL, "loopback", Role.ADMIN)
"""The caller of an API that is served on loopback and has no configured identity."""
PROGRAM_PRINCIPAL: Final = Principal(PrincipalKind.PROGRAM, "scheduler", Role.ADMIN)
