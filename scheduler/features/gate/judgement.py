"""Decides whether runs after a deployment are worse than those before it. Pure.

Everything is counted: runs that failed, and runs that were slower than a limit. A count is a finding if chance alone,
with the share that was usual before, rarely leads to so many. One failure among many is not a finding, three of
three are one. docs/jobs-as-code.md explains it to users.

More successes that are fast never lead to a finding (the tests prove it). So a finding that remains although all
further runs succeed is certain before the end: see judge_early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, exp, fsum, lgamma, log, log1p, sqrt
from typing import Final

from jobs.formats import describe_milliseconds, format_count

RISK: Final = 0.01
"""Of all findings together: how often a deployment that changes nothing is refused."""
NOISE: Final = 0.01
"""Share of failed runs that is usual everywhere."""
PRIOR_RUNS: Final = 10
"""Runs with this noise that are added to those before, so that a few runs do not count as proof."""
SLOWDOWN: Final = 1.5
SLOWDOWN_MS: Final = 50.0
"""A run is slow if it takes longer than the percentile before, times the first, plus the second."""
MIN_RUNS_MEDIAN: Final = 10
MIN_RUNS_P95: Final = 60
"""Successful runs before the deployment without which a percentile is not compared."""
_TESTS: Final = 4
"""Kinds of findings that share the risk."""
_RISK_ALL_FAILED: Final = 0.1
"""The risk of a wrong finding if every run failed: a few runs cannot prove more."""


class FindingKind(StrEnum):
    NO_RUN = "no_run"
    """No run of the job has finished."""
    ALL_FAILED = "all_failed"
    MORE_FAILURES = "more_failures"
    SLOWER_MEDIAN = "slower_median"
    SLOWER_P95 = "slower_p95"
    UNAVAILABLE = "unavailable"
    """The runs could not be read."""


@dataclass(frozen=True, slots=True)
class RunSample:
    """A finished run. `milliseconds`: from its start to its end, with retries."""

    succeeded: bool
    milliseconds: float


@dataclass(frozen=True, slots=True)
class JobEvidence:
    """Runs of a job before and after the deployment. `must_run`: without a run after it, the job is not proven.
    `unknown`: runs after it that could not tell the state of the target, and so verify nothing.
    """

    name: str
    before: Sequence[RunSample]
    after: Sequence[RunSample]
    must_run: bool = True
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """`slowdown`: see SLOWDOWN; None: times are not compared."""

    risk: float = RISK
    slowdown: float | None = SLOWDOWN


@dataclass(frozen=True, slots=True)
class GateFinding:
    """Why a deployment is refused. `job` empty: all jobs together."""

    kind: FindingKind
    job: str
    message: str


def judge(evidence: Sequence[JobEvidence], policy: GatePolicy) -> Sequence[GateFinding]:
    """Return the findings; none: the deployment is accepted."""
    risk = policy.risk / _TESTS
    found = [finding for each in evidence for finding in _judge_job(each, risk / len(evidence), policy)]
    if len(evidence) > 1:
        found += _judge_together(evidence, risk)
    return found


def judge_early(
    evidence: Sequence[JobEvidence], remaining: Mapping[str, int], policy: GatePolicy
) -> Sequence[GateFinding]:
    """Return the findings that remain even if all remaining runs succeed at once. `remaining`: their number by job."""
    best = RunSample(True, 0.0)
    optimistic = [replace(each, after=[*each.after, *[best] * remaining.get(each.name, 0)]) for each in evidence]
    certain = {(finding.kind, finding.job) for finding in judge(optimistic, policy)}
    return [finding for finding in judge(evidence, policy) if (finding.kind, finding.job) in certain]


def expect_failures(before: Sequence[RunSample]) -> float:
    """Return the share of failed runs that is usual: that before, with its uncertainty, and at least NOISE."""
    number = len(before) + PRIOR_RUNS
    share = (sum(not run.succeeded for run in before) + NOISE * PRIOR_RUNS) / number
    return min(1.0, max(NOISE, share + 2 * sqrt(share * (1 - share) / number)))


def find_quantile(values: Sequence[float], share: float) -> float:
    """Return the value below or at which this share of the values is. There must be one."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def find_binomial_tail(count: int, number: int, share: float) -> float:
    """Return the probability of `count` or more of `number` if each has the probability `share`."""
    if count <= 0:
        return 1.0
    if count > number or share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0
    logs = log(share), log1p(-share)
    terms = (
        exp(lgamma(number + 1) - lgamma(k + 1) - lgamma(number - k + 1) + k * logs[0] + (number - k) * logs[1])
        for k in range(count, number + 1)
    )
    return min(1.0, fsum(terms))


def find_poisson_tail(count: int, mean: float) -> float:
    """Return the probability of `count` or more rare events if `mean` are expected."""
    if count <= 0:
        return 1.0
    if mean <= 0.0:
        return 0.0
    below = fsum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(count))
    # A small tail is added up: the difference would have lost its digits.
    return (
        1.0 - below
        if below < 0.999
        else fsum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(count, count + 200))
    )


def _judge_job(job: JobEvidence, risk: float, policy: GatePolicy) -> Iterator[GateFinding]:
    failed, number = sum(not run.succeeded for run in job.after), len(job.after)
    if not number:
        if job.must_run:
            message = "no run has finished after the deployment"
            if job.unknown:
                were = format_count(job.unknown, "run was", "runs were")
                message = f"it is not verified: {were} unknown, no other finished"
            yield GateFinding(FindingKind.NO_RUN, job.name, message)
        return
    failed_before = sum(not run.succeeded for run in job.before)
    chance = find_binomial_tail(failed, number, expect_failures(job.before))
    versus = f"before the deployment {_count(failed_before, len(job.before))}"
    if chance < risk:
        message = f"{_count(failed, number)} failed, {versus} (by chance: {_percent(chance)})"
        yield GateFinding(FindingKind.MORE_FAILURES, job.name, message)
    elif failed == number and chance < _RISK_ALL_FAILED and (not job.before or failed_before < len(job.before)):
        yield GateFinding(FindingKind.ALL_FAILED, job.name, f"every run failed ({number}), {versus}")
    if policy.slowdown is not None:
        yield from _judge_times(job, risk, policy.slowdown)


def _judge_times(job: JobEvidence, risk: float, slowdown: float) -> Iterator[GateFinding]:
    before, after = ([run.milliseconds for run in side if run.succeeded] for side in (job.before, job.after))
    for kind, share, least, word in (
        (FindingKind.SLOWER_MEDIAN, 0.5, MIN_RUNS_MEDIAN, "median"),
        (FindingKind.SLOWER_P95, 0.95, MIN_RUNS_P95, "95th percentile"),
    ):
        if len(before) < least or not after:
            continue
        usual = find_quantile(before, share)
        limit = usual * slowdown + SLOWDOWN_MS
        slow = sum(value > limit for value in after)
        chance = find_binomial_tail(slow, len(after), 1 - share)
        if chance < risk:
            now = describe_milliseconds(find_quantile(after, share))
            yield GateFinding(
                kind,
                job.name,
                f"{_count(slow, len(after))} took longer than {describe_milliseconds(limit)}: the {word} is {now}, "
                f"before the deployment {describe_milliseconds(usual)} (by chance: {_percent(chance)})",
            )


def _judge_together(evidence: Sequence[JobEvidence], risk: float) -> Iterator[GateFinding]:
    """Many jobs with a few failures each are a finding, too."""
    failed = sum(not run.succeeded for each in evidence for run in each.after)
    number = sum(len(each.after) for each in evidence)
    mean = sum(len(each.after) * expect_failures(each.before) for each in evidence)
    chance = find_poisson_tail(failed, mean)
    if chance < risk:
        message = f"{_count(failed, number)} of all jobs failed, usual are {mean:.1f} (by chance: {_percent(chance)})"
        yield GateFinding(FindingKind.MORE_FAILURES, "", message)


def _count(part: int, whole: int) -> str:
    return f"{part} of {format_count(whole, 'run')}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 1e-6 else "less than 0.0001 %"
