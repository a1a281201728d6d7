"""Entries about the response time, the size of the body and the number of redirects."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import ByteSize, Field

from jobs.expectations.answer import JudgedAnswer, format_size
from jobs.expectations.entry import ExpectationEntry
from jobs.expectations.features import Feature
from jobs.expectations.value_types.counts import CountBounds
from jobs.model_base import Duration
from jobs.runs import Failure


class ResponseTimeBelowEntry(ExpectationEntry):
    """The whole attempt, from DNS to the end of the body, took less than this."""

    needs: ClassVar = Feature.DURATION

    response_time_below: Annotated[Duration, Field(gt=0)]

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        limit, took = self.response_time_below * 1000, answer.observation.phases.total_ms
        if took < limit:
            return None
        # Close to the limit a rounded number would contradict the verdict.
        observed = f"{took:.0f} ms" if took >= limit + 1 else f"{took:g} ms"
        return Failure("response_time_below", f"less than {limit:g} ms", observed)


class MaxBodyEntry(ExpectationEntry):
    """The decompressed body is not larger than this. An incomplete body fails."""

    needs: ClassVar = Feature.BODY

    max_body: ByteSize

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        size, truncated = len(answer.observation.body), answer.observation.body_truncated
        if size <= self.max_body and not truncated:
            return None
        observed = (
            f"more than {format_size(size)}, where reading stopped (read_limit)" if truncated else format_size(size)
        )
        return Failure("max_body", f"at most {format_size(self.max_body)}", observed)


class MinBodyEntry(ExpectationEntry):
    """The decompressed body is not smaller than this."""

    needs: ClassVar = Feature.BODY

    min_body: ByteSize

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        size = len(answer.observation.body)
        if size >= self.min_body:
            return None
        cut = ", where reading stopped (read_limit)" if answer.observation.body_truncated else ""
        return Failure("min_body", f"at least {format_size(self.min_body)}", format_size(size) + cut)


class RedirectsEntry(ExpectationEntry):
    """The number of followed redirects: `0`, or `{at_most: 2}`."""

    needs: ClassVar = Feature.HTTP_RESPONSE

    redirects: CountBounds

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        followed = answer.observation.facts.get("redirects")
        if isinstance(followed, int) and self.redirects.holds(followed):
            return None
        return Failure("redirects", str(self.redirects), "unknown" if followed is None else str(followed))
