"""The entry about the digest of the body."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar

from pydantic import Field

from jobs.expectations.answer import Answer, size_text
from jobs.expectations.body import WITH_BODY
from jobs.expectations.entry import READ_AS_TEXT, Entry
from jobs.model import Frozen
from jobs.runs import Failure

_SHOWN = 16
"""Digits that a failure shows."""


class Digest(Frozen):
    """A hexadecimal digest."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$", description="64 hexadecimal digits")]


class BodyHash(Entry):
    """The complete, decompressed body has this digest: `{body_hash: {sha256: ...}}`."""

    kinds: ClassVar = WITH_BODY

    body_hash: Digest

    @property
    def largest_at_once(self) -> int:
        return READ_AS_TEXT

    def unmet(self, answer: Answer) -> Failure | None:
        wanted, seen = self.body_hash.sha256.lower(), answer.seen
        expected = f"sha256 {wanted[:_SHOWN]}…"
        if seen.body_truncated:
            size = size_text(len(seen.body))
            return Failure("body_hash", expected, f"an incomplete body: reading stopped after {size} (read_limit)")
        digest = hashlib.sha256(seen.body).hexdigest()
        if digest == wanted:
            return None
        return Failure("body_hash", expected, f"sha256 {digest[:_SHOWN]}… of {size_text(len(seen.body))}")
