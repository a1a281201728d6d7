"""Read the body of a check's response up to a limit, as jobs.responses does. Called by exchange.py and oauth.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable

from jobs.checks.body_memory import UNCOUNTED_BYTES
from jobs.checks.errors import BadContentEncoding, TooManyGzipMembers
from jobs.fast_frozen import fast_frozen
from jobs.responses.bounded_body import BoundedBody
from jobs.responses.inflating import MOST_GZIP_MEMBERS, NotInEncoding, TooManyMembers

ACCEPTED_ENCODINGS = "gzip, deflate"
"""Value of Accept-Encoding. A body in any other encoding is not decoded."""


@fast_frozen(frozen=True, slots=True)
class ResponseBody:
    """`truncated`: there was more than the limit."""

    content: bytes
    truncated: bool


async def _no_reservation() -> None:
    """Reserve nothing: the limit is so small that the body is not counted."""


async def read_body(
    parts: AsyncIterable[bytes],
    encoding: str,
    limit: int,
    reserve_memory: Callable[[], Awaitable[None]] = _no_reservation,
) -> ResponseBody:
    """Return the body, at most `limit` bytes of it. `encoding`: the Content-Encoding, or empty.

    `reserve_memory`: called once before more than UNCOUNTED_BYTES are held, see jobs.checks.body_memory.

    Raises:
        BadContentEncoding: it cannot be decompressed, or is incomplete.
        TooManyGzipMembers
        Exception: what reading the parts raises.
    """
    body, has_room = BoundedBody(encoding, limit), False
    try:
        async for part in parts:
            for _ in body.add(part):
                await asyncio.sleep(0)
            if body.is_truncated:
                return ResponseBody(body.content, truncated=True)
            if not has_room and len(body) > UNCOUNTED_BYTES:
                await reserve_memory()
                has_room = True
        body.end()
    except NotInEncoding:
        raise BadContentEncoding(encoding.strip().lower()) from None
    except TooManyMembers:
        raise TooManyGzipMembers(MOST_GZIP_MEMBERS) from None
    return ResponseBody(body.content, truncated=False)
