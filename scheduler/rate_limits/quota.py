"""The limits by group, and the state of one after a request. Pure; imports nothing heavy, as health probes load it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Final

OFF: Final = "off"


class LimitGroup(StrEnum):
    """What is counted together. The values are the names of the policies in RateLimit fields."""

    READ = "read"
    OPERATE = "operate"
    MANAGE = "manage"
    FAILED_AUTHENTICATION = "failed-authentication"


@dataclass(frozen=True, slots=True)
class RateLimitRules:
    """The limit of each group, such as `600/minute`, or `off`."""

    read: str = OFF
    operate: str = OFF
    manage: str = OFF
    failed_authentication: str = OFF

    def limit_of(self, group: LimitGroup) -> str:
        limit: str = getattr(self, group.replace("-", "_"))
        return limit


@dataclass(frozen=True, slots=True)
class Quota:
    """The state of a limit. `window`: seconds in which `amount` requests are allowed.

    `remaining`: requests that are allowed for certain until the window ends in `reset_in` seconds, rounded up.
    """

    group: LimitGroup
    amount: int
    window: int
    remaining: int
    reset_in: int
    is_exceeded: bool

    def with_reset_in(self, seconds: float) -> Quota:
        return replace(self, reset_in=max(1, ceil(seconds)))
