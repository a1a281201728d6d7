"""The entry about the digest of the body."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar

from pydantic import Field

from jobs.expectations.answer import JudgedAnswer, format_size
from jobs.expectations.entry import BRIEF_TEXT_BYTES, ExpectationEntry
from jobs.expectations.features import Feature
from jobs.model_base import FrozenModel
from jobs.runs import Failure

_SHOWN = 16
"""Digits that a failure shows."""


class Sha256Digest(FrozenModel):
    """A hexadecimal digest."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$", description="64 hexadecimal digits")]


class BodyHashEntry(ExpectationEntry):
    """The complete, decompressed body has this digest: `{body_hash: {sha256: ...}}`."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_TEXT_BYTES

    body_hash: Sha256Digest

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        expected_digest, seen = self.body_hash.sha256.lower(), answer.observation
        expected = f"sha256 {expected_digest[:_SHOWN]}…"
        if seen.body_truncated:
            size = format_size(len(seen.body))
            return Failure("body_hash", expected, f"an incomplete body: reading stopped after {size} (read_limit)")
        digest = hashlib.sha256(seen.body).hexdigest()
        if digest == expected_digest:
            return None
        return Failure("body_hash", expected, f"sha256 {digest[:_SHOWN]}… of {format_size(len(seen.body))}")
