"""Entries about the response time, the size of the body and the number of redirects."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import ByteSize, Field

from jobs.expectations.comparisons import CountBounds
from jobs.expectations.entry import ExpectationEntry, Feature, JudgedAnswer, format_size
from jobs.model_base import Duration


class ResponseTimeBelowEntry(ExpectationEntry):
    """The whole attempt, from DNS to the end of the body, took less than this."""

    needs: ClassVar = Feature.DURATION

    response_time_below: Annotated[Duration, Field(gt=0)]

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"less than {self.response_time_below * 1000:g} ms"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        limit, took = self.response_time_below * 1000, answer.observation.phases.total_ms
        if took < limit:
            return None
        # Close to the limit a rounded number would contradict the verdict.
        return f"{took:.0f} ms" if took >= limit + 1 else f"{took:g} ms"


class MaxBodyEntry(ExpectationEntry):
    """The decompressed body is not larger than this. An incomplete body fails."""

    needs: ClassVar = Feature.BODY

    max_body: ByteSize

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"at most {format_size(self.max_body)}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        size = len(answer.observation.body)
        if answer.observation.body_truncated:
            return f"more than {format_size(size)}, where reading stopped (read_limit)"
        return None if size <= self.max_body else format_size(size)


class MinBodyEntry(ExpectationEntry):
    """The decompressed body is not smaller than this."""

    needs: ClassVar = Feature.BODY

    min_body: ByteSize

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"at least {format_size(self.min_body)}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        size = len(answer.observation.body)
        if size >= self.min_body:
            return None
        cut = ", where reading stopped (read_limit)" if answer.observation.body_truncated else ""
        return format_size(size) + cut


class RedirectsEntry(ExpectationEntry):
    """The number of followed redirects: `0`, or `{at_most: 2}`."""

    needs: ClassVar = Feature.HTTP_RESPONSE

    redirects: CountBounds

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return str(self.redirects)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        followed = answer.observation.facts.get("redirects")
        if isinstance(followed, int) and self.redirects.holds(followed):
            return None
        return "unknown" if followed is None else str(followed)
