"""Judges by the results of reference checks whether the scheduler is blind, and for which errors. Pure.

    references              errors that they explain
    all fail to resolve     dns_failure, dns_timeout
    all fail to connect     connections that are refused, reset or time out, and those above
    the clock is wrong      tls_certificate

One reference that answers proves the way to it: the failures of targets are theirs then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from jobs.fast_frozen import fast_frozen
from jobs.runs.error_classes import ErrorClass

MAX_CLOCK_ERROR = timedelta(minutes=2)
"""Between this clock and that of a reference. Certificates and tokens are judged by the clock."""

_DNS_ERRORS = frozenset({ErrorClass.DNS_FAILURE, ErrorClass.DNS_TIMEOUT})
_UNREACHED = _DNS_ERRORS | {
    ErrorClass.CONNECTION_REFUSED,
    ErrorClass.CONNECTION_RESET,
    ErrorClass.CONNECTION_FAILED,
    ErrorClass.CONNECT_TIMEOUT,
    ErrorClass.TLS_TIMEOUT,
    ErrorClass.TLS_FAILURE,
}
"""No answer of the target arrived. A run can end by its own limit while it connects."""
_EGRESS_ERRORS = _UNREACHED | {ErrorClass.RUN_TIMEOUT}
_CLOCK_ERRORS = frozenset({ErrorClass.TLS_CERTIFICATE})


@fast_frozen(frozen=True, slots=True)
class ReferenceResult:
    """`error`: None if the reference answered, whatever it answered. `clock_error`: this clock minus its clock."""

    name: str
    error: ErrorClass | None
    message: str = ""
    clock_error: timedelta | None = None


def find_blindness(error: ErrorClass, results: Sequence[ReferenceResult]) -> str | None:
    """Return the cause of such errors of all targets, a clause without a full stop; None: they describe the target."""
    if not results:
        return None
    if error in _DNS_ERRORS and all(each.error in _DNS_ERRORS for each in results):
        return f"the scheduler cannot resolve names: {_describe(results)}"
    if error in _EGRESS_ERRORS and all(each.error in _UNREACHED for each in results):
        return f"the scheduler cannot connect to anything: {_describe(results)}"
    if error in _CLOCK_ERRORS:
        return _describe_clock(results)
    return None


def is_clock_confirmed(results: Sequence[ReferenceResult]) -> bool:
    """Return whether the clocks of most references that show one agree with this clock; False without any."""
    return any(each.clock_error is not None for each in results) and _describe_clock(results) is None


def _describe_clock(results: Sequence[ReferenceResult]) -> str | None:
    """Return the cause if the clocks of most references that show one agree that this clock is wrong."""
    known = sorted(each.clock_error for each in results if each.clock_error is not None)
    if not known:
        return None
    middle = known[len(known) // 2]
    if abs(middle) <= MAX_CLOCK_ERROR:
        return None
    direction = "ahead of" if middle > timedelta() else "behind"
    seconds = round(abs(middle).total_seconds())
    return f"the clock of the scheduler is {seconds} s {direction} that of {', '.join(each.name for each in results)}"


def _describe(results: Sequence[ReferenceResult]) -> str:
    return "; ".join(f"{each.name}: {each.error}" for each in results[:3])
