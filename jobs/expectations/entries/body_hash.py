"""The entry about the digest of the body."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar

from pydantic import Field

from jobs.expectations.entry import BRIEF_TEXT_BYTES, ExpectationEntry, Feature, JudgedAnswer, format_size
from jobs.model_base import FrozenModel

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

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"sha256 {self.body_hash.sha256.lower()[:_SHOWN]}…"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        body = answer.observation.body
        if answer.observation.body_truncated:
            return f"an incomplete body: reading stopped after {format_size(len(body))} (read_limit)"
        digest = hashlib.sha256(body).hexdigest()
        if digest == self.body_hash.sha256.lower():
            return None
        return f"sha256 {digest[:_SHOWN]}… of {format_size(len(body))}"
