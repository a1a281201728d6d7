"""Sends the requests of a spool, oldest first, with the rules that all destinations share. Used by the deliveries.

outbox = Outbox({"logs": intake}, spool, counts, closing)
outbox.put(request)
outbox.send_due()
"""

from __future__ import annotations

import json
import math
import random
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from jobs.responses import parse_wait
from observability.exporters.background import DeliveryCounts, Pace, ShutdownSignal, encode_list
from observability.exporters.spool import Spool
from observability.exporters.spool_folder import SpooledRequest


def read_required_wait(headers: Mapping[str, str], *names: str) -> float | None:
    """Return the seconds of the first of these headers, or of Retry-After; None: not given, or invalid.

    Destinations also send fractions. `headers`: names in any case.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    text = next((lower[name] for name in (*names, "retry-after") if lower.get(name)), "")
    try:
        seconds = float(text)
    except ValueError:
        return parse_wait(lower | {"retry-after": text}, datetime.now(UTC))
    return max(0.0, seconds) if math.isfinite(seconds) else None


REQUEST_TIMEOUT_S: Final = 5.0
_MIN_TIMEOUT_S: Final = 0.05
_SLICE_S: Final = 1.0
"""After this time sending pauses, so that new events reach the spool while old requests are sent."""
_MAX_BACKOFF_S: Final = 60.0
_MAX_RETRY_AFTER_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of a request. `accepted` and `rejected`: its items, of which a part can be rejected for good.

    `is_temporary`: nothing was accepted, and a later attempt is useful: after `retry_after_s`, if given.
    `is_too_large`: a part of it may be accepted. `remainder`: items that are to be sent again, later.
    `reason`: a message, redacted by the counts.
    """

    accepted: int = 0
    rejected: int = 0
    reason: str = ""
    is_temporary: bool = False
    is_too_large: bool = False
    remainder: SpooledRequest | None = None
    retry_after_s: float | None = None


class RequestIntake(Protocol):
    """A part of a destination that can fail independently of its others."""

    def send(self, request: SpooledRequest, timeout: float) -> SendResult:
        """Send once, within `timeout` seconds. Does not raise."""
        ...

    def split(self, request: SpooledRequest) -> Sequence[SpooledRequest]:
        """Return parts with the same items; empty if it cannot be split."""
        ...


class HttpIntake(ABC):
    """What intakes have in common whose answer is a status. Implements RequestIntake.

    `retried_statuses`: those after which the same request may be accepted later; None: there was no answer.
    `wait_headers`: of an answer, before the standard one.
    """

    retried_statuses: frozenset[int | None]
    wait_headers: tuple[str, ...] = ()

    def send(self, request: SpooledRequest, timeout: float) -> SendResult:
        if timeout < _MIN_TIMEOUT_S:
            return SendResult(reason="the program stops before it could be sent", is_temporary=True)
        return self.post(request, timeout)

    @abstractmethod
    def post(self, request: SpooledRequest, timeout: float) -> SendResult:
        """Send once. Does not raise."""

    @abstractmethod
    def split(self, request: SpooledRequest) -> Sequence[SpooledRequest]:
        """Return parts with the same items; empty if it cannot be split."""

    def describe_error(
        self, request: SpooledRequest, status: int | None, headers: Mapping[str, str], reason: str = ""
    ) -> SendResult:
        """Return the result of a request that was answered with an error. `reason`: by default its status."""
        reason = reason or f"answered {status}"
        if status in self.retried_statuses:
            wait = read_required_wait(headers, *self.wait_headers)
            return SendResult(reason=reason, is_temporary=True, retry_after_s=wait)
        return SendResult(rejected=request.items, reason=reason, is_too_large=status == 413)


def pack_list(items: Iterable[object], pace: Pace) -> bytes:
    """Return the body of a request that waits: a list as compressed JSON."""
    return zlib.compress(encode_list(items, pace), level=1)


def unpack_list(body: bytes) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(zlib.decompress(body))
    return items


def split_list(request: SpooledRequest, pace: Pace) -> Sequence[SpooledRequest]:
    """Return the two halves of a packed list; empty for a single item."""
    items = unpack_list(request.body)
    middle = len(items) // 2
    halves = (items[:middle], items[middle:]) if middle else ()
    return [replace(request, body=pack_list(half, pace), items=len(half)) for half in halves]


class Outbox:
    """The intakes of a destination. An intake that fails does not delay the others."""

    def __init__(
        self, intakes: Mapping[str, RequestIntake], spool: Spool, counts: DeliveryCounts, closing: ShutdownSignal
    ) -> None:
        self._spool = spool
        self._counts = counts
        self._closing = closing
        self._lanes = [_Lane(name, intake, spool, counts, closing) for name, intake in intakes.items()]
        counts.watch_spool(spool.state)

    def put(self, request: SpooledRequest) -> None:
        """Retain the request until it is accepted, also beyond the end of the process."""
        self._counts.record_drop(self._spool.put(request))

    def send_due(self) -> None:
        """Send what is due, for about a second; at the shutdown until its deadline."""
        ends_at = time.monotonic() + _SLICE_S
        for _ in self._lanes:
            lane = self._lanes.pop(0)
            self._lanes.append(lane)
            lane.send_due(lambda: time.monotonic() < ends_at or self._closing.is_started)

    def next_send_in(self) -> float | None:
        """Return the seconds until a request is due; None while none waits."""
        waits = [wait for lane in self._lanes if (wait := lane.next_send_in()) is not None]
        return min(waits, default=None)

    def close(self) -> None:
        """Count what ends with the process because it could not be written to disk."""
        self._counts.record_drop(self._spool.count_volatile_items())


class _Lane:
    """One intake: its requests in order, and when the next one is due."""

    def __init__(
        self, name: str, intake: RequestIntake, spool: Spool, counts: DeliveryCounts, closing: ShutdownSignal
    ) -> None:
        self._name = name
        self._intake = intake
        self._spool = spool
        self._counts = counts
        self._closing = closing
        self._failures = 0
        self._not_before = 0.0
        self._is_given_up = False

    def next_send_in(self) -> float | None:
        return max(0.0, self._not_before - time.monotonic()) if self._spool.has_requests(self._name) else None

    def send_due(self, may_continue: Callable[[], bool]) -> None:
        """At the shutdown an intake that fails once is left alone."""
        while may_continue() and self._is_due():
            claim = self._spool.claim_oldest(self._name)
            if claim is None:
                return
            request = claim.request
            if time.time() > request.expires_at:
                claim.delete()
                self._counts.record_drop(request.items)
                continue
            result = self._intake.send(request, self._closing.remaining_seconds(REQUEST_TIMEOUT_S))
            if result.is_temporary:
                claim.release()
                self._delay(result)
            else:
                if not self._retain_parts(request, result):
                    self._count(result)
                claim.delete()
                if result.remainder is not None:
                    self._delay(result)

    def _is_due(self) -> bool:
        if self._closing.is_started:
            return not self._is_given_up and self._closing.remaining_seconds(1.0) > 0
        return time.monotonic() >= self._not_before

    def _delay(self, result: SendResult) -> None:
        self._counts.record_failure(f"{self._name}: {result.reason}", self._name)
        self._is_given_up = self._closing.is_started
        self._failures += 1
        required = result.retry_after_s
        wait = min(required, _MAX_RETRY_AFTER_S) if required is not None else _compute_backoff(self._failures)
        self._not_before = time.monotonic() + wait

    def _retain_parts(self, request: SpooledRequest, result: SendResult) -> bool:
        """Replace a request that is too large by its parts. Return False if it is not, or cannot be split."""
        parts = self._intake.split(request) if result.is_too_large else ()
        for part in parts:
            self._counts.record_drop(self._spool.put(part))
        return bool(parts)

    def _count(self, result: SendResult) -> None:
        self._failures, self._not_before = 0, 0.0
        if result.reason:
            self._counts.record_failure(f"{self._name}: {result.reason}", self._name)
        if result.accepted or not result.reason:
            self._counts.record_success(result.accepted, self._name)
        self._counts.record_drop(result.rejected)
        if result.remainder is not None:
            self._counts.record_drop(self._spool.put(result.remainder))


def _compute_backoff(failures: int) -> float:
    return float(min(_MAX_BACKOFF_S, 2.0 ** (failures - 1))) * random.uniform(0.5, 1.0)
