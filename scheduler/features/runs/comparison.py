"""Compares a run with a good one of the same job: what differs, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.formats import describe_milliseconds
from jobs.runs import Attempt, Run
from jobs.runs.details import Details, StepDetail

_SLOWER_FACTOR: Final = 2.0
_SLOWER_AT_LEAST_MS: Final = 10.0
"""A time differs if it is at least this much longer or shorter, and by the factor."""
_PHASES: Final = {"DNS": "dns_ms", "Connect": "connect_ms", "TLS": "tls_ms", "First byte": "first_byte_ms"}


@dataclass(frozen=True, slots=True)
class RunDifference:
    """One value of both runs, as text; empty if a run does not have it. `note`: such as `3.1 times as long`."""

    name: str
    this: str
    other: str
    is_different: bool
    note: str = ""


def compare_runs(run: Run, good: Run) -> Sequence[RunDifference]:
    """Return the values that either run has: those that differ first."""
    found = [*_compare_results(run, good), *_compare_times(run, good), *_compare_details(run, good)]
    shown = [each for each in found if each.this or each.other]
    return sorted(shown, key=lambda each: not each.is_different)


def _compare_results(run: Run, good: Run) -> Iterator[RunDifference]:
    yield _compare("Outcome", _outcome(run), _outcome(good))
    yield _compare("Status", _text(run.status), _text(good.status))
    yield _compare("Error", _text(run.error).replace("_", " "), _text(good.error).replace("_", " "))
    yield _compare("Message", run.message, good.message)
    failures = ["; ".join(map(str, one.failures)) for one in (_last(run), _last(good)) if one is not None]
    if len(failures) == len((run, good)):
        yield _compare("Failed expectations", *failures)
    yield _compare("Attempts", str(len(run.attempts)), str(len(good.attempts)))
    yield _compare("Trigger", run.trigger.value, good.trigger.value)
    yield _compare("Target", run.endpoint, good.endpoint)
    yield _compare("Definition", run.generation, good.generation)


def _compare_times(run: Run, good: Run) -> Iterator[RunDifference]:
    """Compare the phases of the last attempts."""
    yield _compare_time("Start after the due instant", run.lateness_ms, good.lateness_ms)
    this, other = _last(run), _last(good)
    for name, field in _PHASES.items():
        values = [None if one is None else getattr(one.phases, field) for one in (this, other)]
        yield _compare_time(name, values[0], values[1])
    yield _compare_time("Response time", run.response_time_ms, good.response_time_ms)


def _compare_details(run: Run, good: Run) -> Iterator[RunDifference]:
    this, other = (_details_of(one) for one in (run, good))
    for values, is_compared_alone in (
        (_tls_values, False),
        (_dns_values, False),
        (_step_values, True),
        (_health_values, False),
    ):
        of_this, of_other = values(this), values(other)
        if not is_compared_alone and not (of_this and of_other):
            continue  # a run that ended earlier did not get so far
        for name in dict.fromkeys([*of_other, *of_this]):
            yield _compare(name, of_this.get(name, ""), of_other.get(name, ""))


def _tls_values(details: Details) -> Mapping[str, str]:
    if details.tls is None:
        return {}
    found = {"TLS version": details.tls.version} if details.tls.version else {}
    if (certificate := details.tls.certificate) is not None:
        found |= {
            "Certificate": certificate.subject,
            "Certificate from": certificate.issuer,
            "Certificate valid until": _instant(certificate.expires_at),
        }
    return found


def _dns_values(details: Details) -> Mapping[str, str]:
    if details.dns is None:
        return {}
    dns = details.dns
    return {"DNS answer": dns.rcode, "Addresses": ", ".join(sorted(dns.records)), "Name server": dns.server}


def _step_values(details: Details) -> Mapping[str, str]:
    return {f"Step {step.name}": _describe_step(step) for step in details.steps}


def _describe_step(step: StepDetail) -> str:
    parts = (step.outcome.value.replace("_", " "), _text(step.status), step.error.replace("_", " "))
    return ", ".join(part for part in parts if part)


def _health_values(details: Details) -> Mapping[str, str]:
    if details.health is None:
        return {}
    entries = {
        f"Entry {one.name}": f"{one.word}: {one.text}" if one.text else one.word for one in details.health.entries
    }
    return {"Health": details.health.word} | entries


def _compare(name: str, this: str, other: str) -> RunDifference:
    return RunDifference(name, this, other, this != other)


def _compare_time(name: str, this: float | None, other: float | None) -> RunDifference:
    texts = ["" if value is None else describe_milliseconds(value) for value in (this, other)]
    if this is None or other is None:
        return RunDifference(name, texts[0], texts[1], texts[0] != texts[1])
    longer, shorter = max(this, other), max(min(this, other), 0.1)
    is_different = longer - shorter >= _SLOWER_AT_LEAST_MS and longer / shorter >= _SLOWER_FACTOR
    word = "as long" if this > other else "shorter"
    factor = longer / shorter
    note = f"{factor:.{0 if factor >= 10 else 1}f} times {word}" if is_different else ""
    return RunDifference(name, texts[0], texts[1], is_different, note)


def _last(run: Run) -> Attempt | None:
    return run.attempts[-1] if run.attempts else None


def _details_of(run: Run) -> Details:
    last = _last(run)
    return Details() if last is None or last.details is None else last.details


def _outcome(run: Run) -> str:
    return run.outcome.value.replace("_", " ") + (", degraded" if run.degraded else "")


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
