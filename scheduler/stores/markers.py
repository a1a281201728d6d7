"""Stores the deployments that charts mark: of what is monitored, and of the scheduler itself.

Written by scheduler.features.changes.markers and scheduler.changes.announcing, read by scheduler.queries.history.

    {reverse}-{suffix}    a marker; `reverse` is the reverse instant of scheduler.stores.runs.keys

Ascending keys give the newest first, on every store.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.identity.principal import Tags
from scheduler.stores.port import Row, Store
from scheduler.stores.rows import PREFIX_END, InvalidContinuation, decode_json, encode_json
from scheduler.stores.runs.keys import DueRange, instant_before, reverse_ms
from scheduler.stores.table import Table

MARKERS_TABLE: Final = "markers"
MAX_STORED_MARKERS: Final = 10_000
"""Older ones are deleted before their age."""
_PARTITION = "all"
_MILLISECOND_DIGITS = 13


@dataclass(frozen=True, slots=True)
class DeploymentMarker:
    """`tags`: it concerns jobs that have all of them; empty: all jobs. `author`: a principal.

    `limited_to`: and only jobs with one of these tags, because its author is limited to them.
    """

    id: str
    at: datetime
    text: str
    tags: Tags = ()
    author: str = ""
    limited_to: Tags = ()

    def concerns(self, tags: Mapping[str, str]) -> bool:
        """Return whether it concerns a job with these tags."""
        return all(tags.get(key) == value for key, value in self.tags) and (
            not self.limited_to or any(tags.get(key) == value for key, value in self.limited_to)
        )


def create_marker_id(at: datetime) -> str:
    """Return a new id. Ids are ordered by the instants of their markers. Raises ValueError before the year 1970."""
    return f"{_reverse_digits(reverse_ms(at))}-{secrets.token_hex(4)}"


class DeploymentMarkers:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._rows = Table(store, MARKERS_TABLE, _PARTITION, _encode, _decode)

    async def put(self, marker: DeploymentMarker) -> None:
        """Store it. A repetition changes nothing."""
        await self._rows.store(_key(marker.id, marker.at), marker)

    async def list_page(
        self, since: datetime | None = None, until: datetime | None = None, *, limit: int, after: str = ""
    ) -> list[DeploymentMarker]:
        """Return markers of a time, both ends inclusive, newest first; fewer than `limit` mean that no more exist.

        `after`: the id of the last one of the page before. Raises InvalidContinuation.
        """
        bounds = DueRange(since, until)
        start = max(bounds.after, _key_of_id(after)) if after else bounds.after
        return await self._rows.list_values(after=start, until=bounds.end, limit=limit)

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete those that are older than `age_s`, and the oldest beyond MAX_STORED_MARKERS; return their number."""
        keys = await self._rows.list_keys()
        last_allowed = keys[MAX_STORED_MARKERS - 1] if len(keys) > MAX_STORED_MARKERS else PREFIX_END
        after = min(reverse_ms(instant_before(now, age_s)) + PREFIX_END, last_allowed)
        return await self._rows.remove_range(after=after, until=PREFIX_END)


def _key(marker_id: str, at: datetime) -> str:
    return f"{reverse_ms(at)}{marker_id[_MILLISECOND_DIGITS:]}"


def _key_of_id(marker_id: str) -> str:
    """Raises InvalidContinuation."""
    digits, _, suffix = marker_id.partition("-")
    is_id = digits.isascii() and digits.isdecimal() and len(digits) == _MILLISECOND_DIGITS and suffix.isalnum()
    if not is_id or not suffix.isascii():
        raise InvalidContinuation(marker_id)
    return f"{_reverse_digits(digits)}-{suffix}"


def _reverse_digits(digits: str) -> str:
    return f"{10**_MILLISECOND_DIGITS - 1 - int(digits):0{_MILLISECOND_DIGITS}d}"


def _encode(marker: DeploymentMarker) -> str:
    return encode_json(
        {
            "id": marker.id,
            "at": marker.at.isoformat(),
            "text": marker.text,
            "tags": [list(tag) for tag in marker.tags],
            "author": marker.author,
            "limited_to": [list(tag) for tag in marker.limited_to],
        }
    )


def _decode(row: Row) -> DeploymentMarker:
    fields = decode_json(row.body)
    return DeploymentMarker(
        fields["id"],
        datetime.fromisoformat(fields["at"]),
        fields["text"],
        _decode_tags(fields["tags"]),
        fields["author"],
        _decode_tags(fields["limited_to"]),
    )


def _decode_tags(pairs: list[list[str]]) -> Tags:
    return tuple((key, value) for key, value in pairs)
