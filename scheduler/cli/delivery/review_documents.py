"""Documents by which a scheduler reviews the targets and secrets of jobs. Used by both implementations of the port.

A document has the check of each job alone: references to other jobs, channels and groups would be separate
problems, and do not matter for targets and secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from scheduler.features.jobs.definitions import minimal_definition

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

MAX_DOCUMENT: Final = 200 * 1024
"""Bytes of a document; the API accepts 256 KiB."""


def list_review_documents(jobs: Sequence[JobDefinition]) -> Iterator[bytes]:
    """Yield documents that contain the enabled jobs together."""
    parts: list[str] = []
    size = 0
    for job in jobs:
        if not job.enabled:
            continue
        written: dict[str, Any] = {"schedule": None, "check": minimal_definition(job)["check"]}
        part = f"{json.dumps(job.name)}:{json.dumps(written)}"
        if parts and size + len(part) > MAX_DOCUMENT:
            yield _join(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield _join(parts)


def _join(parts: list[str]) -> bytes:
    return b'{"jobs":{%s}}' % ",".join(parts).encode()
