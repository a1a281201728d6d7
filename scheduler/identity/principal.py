"""Who calls, and what they may do: principals, their roles, the tags that limit them, and the caller of an operation.

Principals are made by the authentication of the API and by the commands, read where access is decided, and recorded by
the audit trail. Imports almost nothing, because a cold process imports it.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


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


_CONTROL = r"\x00-\x1f\x7f-\x9f"
_SPACE = rf"{_CONTROL} \xa0"
TAG_LIMIT_PATTERN: Final = rf"^[^:={_SPACE}][^:={_CONTROL}]*[:=][^{_SPACE}][^{_CONTROL}]*$"
"""Without `\\s`, which the regular expressions of Python, pydantic and JSON Schema define differently."""
Tags = tuple[tuple[str, str], ...]


def parse_tag_limits(texts: Iterable[str]) -> Tags:
    """Parse `team:payments` or `team=payments`, sorted and without duplicates. Raises ValueError."""
    return tuple(sorted({_parse_tag_limit(text) for text in texts}))


def format_tag_limits(tags: Tags) -> list[str]:
    """Return the tags that a principal is limited to as `key:value`."""
    return [f"{key}:{value}" for key, value in tags]


def describe_invisible_job(tags: Tags) -> str:
    """Return why a caller that is limited to these tags cannot define a job without them."""
    return f"the job would not exist for you: expected the tag {' or '.join(format_tag_limits(tags))}"


def written_tags(definition: Any) -> Mapping[str, str]:
    """Return the tags of a definition in the full or in the flat form, as it was written."""
    written = definition.items() if isinstance(definition, Mapping) else ()
    tags = next((value for key, value in written if key.lower() == "tags"), None)
    return tags if isinstance(tags, Mapping) else {}


def _parse_tag_limit(text: str) -> tuple[str, str]:
    if re.fullmatch(TAG_LIMIT_PATTERN, text) is None:
        raise ValueError(f"{text[:60]!r} is not a tag with a value: write team:payments")
    key, value = re.split("[:=]", text, maxsplit=1)
    return key, value


class ChangeSource(StrEnum):
    """Where a change was requested."""

    API = "over the API"
    COMMAND_LINE = "on the command line"
    PING = "by a ping of its heartbeat"
    FILES = "by the job files"


@dataclass(frozen=True, slots=True)
class Caller:
    """`address`: of the client, without a port; empty if unknown. `request_id`: of the HTTP request, empty without."""

    principal: Principal
    source: ChangeSource
    address: str = ""
    request_id: str = ""


JOB_FILES_CALLER: Final = Caller(PROGRAM_PRINCIPAL, ChangeSource.FILES)
PING_CALLER: Final = Caller(PROGRAM_PRINCIPAL, ChangeSource.PING)


def command_caller() -> Caller:
    """Return the caller of this process. Its name is that of the account, not of a variable that a user can set."""
    principal = Principal(PrincipalKind.COMMAND_LINE, f"{_account()}@{socket.gethostname()}", Role.ADMIN)
    return Caller(principal, ChangeSource.COMMAND_LINE)


def _account() -> str:
    try:
        import pwd
    except ImportError:  # Windows
        return os.environ.get("USERNAME", "unknown")
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container without an entry in /etc/passwd
        return f"uid-{os.getuid()}"
