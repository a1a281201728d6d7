"""A request that waits for its destination, and its name as a file. Used by the spool and every exporter. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SpooledRequest:
    """The body of a request, complete except for what is secret: headers are added when it is sent.

    `intake`: the part of the destination, such as `series` or `traces`; `items`: how many rows, points or entries the
    body has; `made_at` and `expires_at`: seconds since the epoch.
    """

    intake: str
    body: bytes
    items: int
    made_at: float
    expires_at: float


class ClaimedRequest(Protocol):
    """A request that no other thread or process sends meanwhile."""

    @property
    def request(self) -> SpooledRequest: ...

    def delete(self) -> None:
        """The request is finished: accepted, or rejected for good."""
        ...

    def release(self) -> None:
        """The request waits again."""
        ...


@dataclass(frozen=True, slots=True)
class RequestFile:
    """What the name of a file contains about its request, so that a folder can be read without opening files.

    Names sort by the time of the request, then by the number that its process gave it.
    """

    made_at_ms: int
    number: int
    process: str
    intake: str
    items: int
    size: int
    expires_at: int

    @property
    def name(self) -> str:
        order = f"{self.made_at_ms:015d}-{self.number:08x}-{self.process}"
        return f"{order}-{self.intake}-{self.items}-{self.size}-{self.expires_at}.request"


_NAME = re.compile(r"(\d{15})-([0-9a-f]{8})-([0-9a-f]+)-([a-z_]+)-(\d+)-(\d+)-(\d+)\.request")


def describe_file(request: SpooledRequest, number: int, process: str) -> RequestFile:
    """`process`: hexadecimal digits that no other process has."""
    made_at_ms, expires_at = int(request.made_at * 1000), int(request.expires_at)
    return RequestFile(
        made_at_ms, number & 0xFFFFFFFF, process, request.intake, request.items, len(request.body), expires_at
    )


def parse_file_name(name: str) -> RequestFile | None:
    """Return None for a file that is not a request."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    made_at_ms, number, process, intake, items, size, expires_at = found.groups()
    return RequestFile(int(made_at_ms), int(number, 16), process, intake, int(items), int(size), int(expires_at))
