"""The decision of a gate: a table of cases, and what must hold for any runs."""

from __future__ import annotations

import random
from math import comb, exp, factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.features.gate.judgement import (
    NOISE,
    FindingKind,
    GatePolicy,
    JobEvidence,
    RunSample,
    expect_failures,
    find_binomial_tail,
    find_poisson_tail,
    find_quantile,
    judge,
    judge_early,
)

POLICY = GatePolicy()
K = FindingKind


def runs(succeeded: int, failed: int = 0, ms: float = 100.0) -> list[RunSample]:
    return [RunSample(True, ms)] * succeeded + [RunSample(False, ms)] * failed


def kinds(*evidence: JobEvidence, policy: GatePolicy = POLICY) -> list[str]:
    return [f"{finding.job}:{finding.kind}" for finding in judge(evidence, policy)]


CASES = [
    # (before, after, findings)
    (runs(360), runs(40), []),
    (runs(360), runs(39, 1), []),
    (runs(360), runs(38, 2), []),
    (runs(360), runs(36, 4), [K.MORE_FAILURES]),
    (runs(360), runs(0, 40), [K.MORE_FAILURES]),
    (runs(360), runs(1, 2), [K.MORE_FAILURES]),
    (runs(360), runs(0, 1), [K.ALL_FAILED]),
    (runs(360), [], [K.NO_RUN]),
    # It failed before: no regression.
    (runs(0, 360), runs(0, 40), []),
    (runs(180, 180), runs(18, 22), []),
    (runs(180, 180), runs(2, 38), [K.MORE_FAILURES]),
    (runs(324, 36), runs(35, 5), []),
    (runs(0, 5), runs(0, 5), []),
    (runs(1, 4), runs(0, 1), []),
    # Nothing is known of the time before.
    ([], runs(40), []),
    ([], runs(39, 1), []),
    ([], runs(0, 1), [K.ALL_FAILED]),
    ([], runs(20, 20), [K.MORE_FAILURES]),
    # One failure before is no proof that failures are usual.
    (runs(0, 1), runs(16, 24), [K.MORE_FAILURES]),
    # Times.
    (runs(360), runs(40, ms=190), []),
    (runs(360), runs(40, ms=210), [K.SLOWER_MEDIAN, K.SLOWER_P95]),
    (runs(360, ms=1), runs(40, ms=45), []),
    (runs(360), [*runs(30), *runs(10, ms=5000)], [K.SLOWER_P95]),
    (runs(360), [*runs(38), *runs(2, ms=5000)], []),
    (runs(9), runs(40, ms=5000), []),
    (runs(20), runs(40, ms=5000), [K.SLOWER_MEDIAN]),
    # Failures have no time: a timeout is not slow as well.
    (runs(360), [*runs(40), RunSample(False, 30_000)], []),
    (runs(340, 20, ms=9000), runs(40, ms=9500), []),
]


@pytest.mark.parametrize(("before", "after", "expected"), CASES)
def test_a_case(before: list[RunSample], after: list[RunSample], expected: list[FindingKind]) -> None:
    assert [finding.kind for finding in judge([JobEvidence("a", before, after)], POLICY)] == expected


def test_a_job_whose_runs_are_all_unknown_is_not_verified() -> None:
    (finding,) = judge([JobEvidence("a", runs(360), [], unknown=4)], POLICY)
    assert (finding.kind, finding.message) == (K.NO_RUN, "it is not verified: 4 runs were unknown, no other finished")


def test_many_jobs_with_a_few_failures_each_are_a_finding_together() -> None:
    evidence = [JobEvidence(f"j{number}", runs(360), runs(38, 2)) for number in range(20)]

    assert kinds(*evidence) == [":more_failures"]
    assert "40 of 800 runs of all jobs failed" in judge(evidence, POLICY)[0].message


def test_thirty_percent_of_a_job_set_fail() -> None:
    evidence = [JobEvidence(f"j{number}", runs(360), runs(0, 4) if number < 3 else runs(4)) for number in range(10)]

    assert kinds(*evidence) == ["j0:more_failures", "j1:more_failures", "j2:more_failures", ":more_failures"]


def test_more_jobs_need_more_evidence_each() -> None:
    one = JobEvidence("a", runs(360), runs(36, 4))
    others = [JobEvidence(f"j{number}", runs(360), runs(40)) for number in range(100)]

    assert kinds(one) == ["a:more_failures"]
    assert kinds(one, *others) == []


def test_times_can_be_ignored_and_a_slowdown_allowed() -> None:
    slow = JobEvidence("a", runs(360), runs(40, ms=900))

    assert kinds(slow, policy=GatePolicy(slowdown=None)) == []
    assert kinds(slow, policy=GatePolicy(slowdown=10.0)) == []


def test_an_observed_job_need_not_run() -> None:
    assert kinds(JobEvidence("a", runs(3), [], must_run=False)) == []
    assert kinds(JobEvidence("a", runs(360), runs(0, 4), must_run=False)) == ["a:more_failures"]


def test_a_message_has_the_numbers() -> None:
    (finding,) = judge([JobEvidence("a", runs(355, 5), runs(2, 4))], POLICY)

    assert finding.message.startswith("4 of 6 runs failed, before the deployment 5 of 360 runs (by chance: ")


# What holds for any runs.

SAMPLE = st.builds(RunSample, st.booleans(), st.sampled_from([1.0, 50.0, 100.0, 210.0, 5000.0]))
SIDE = st.lists(SAMPLE, max_size=80)
JOBS = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=4).map(
    lambda sides: [JobEvidence(f"j{place}", before, after) for place, (before, after) in enumerate(sides)]
)
BEST = RunSample(True, 0.0)


def found(evidence: list[JobEvidence]) -> set[tuple[FindingKind, str]]:
    """A job whose every run failed is worse in either form."""
    merged = {K.ALL_FAILED: K.MORE_FAILURES}
    return {(merged.get(finding.kind, finding.kind), finding.job) for finding in judge(evidence, POLICY)}


@settings(max_examples=80, deadline=None)
@given(JOBS, st.integers(0, 30), st.data())
def test_more_fast_successes_add_no_finding(evidence: list[JobEvidence], count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(evidence) - 1))
    better = [*evidence]
    better[place] = JobEvidence(f"j{place}", evidence[place].before, [*evidence[place].after, *[BEST] * count])

    assert found(better) <= found(evidence)


@settings(max_examples=80, deadline=None)
@given(JOBS, st.data())
def test_a_failure_that_becomes_a_fast_success_adds_no_finding(
    evidence: list[JobEvidence], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(evidence) - 1))
    after = [*evidence[place].after]
    for number, run in enumerate(after):
        if not run.succeeded and data.draw(st.booleans()):
            after[number] = BEST
    better = [*evidence]
    better[place] = JobEvidence(f"j{place}", evidence[place].before, after)

    assert found(better) <= found(evidence)


@settings(max_examples=80, deadline=None)
@given(JOBS, st.data())
def test_an_early_finding_is_one_whatever_follows(evidence: list[JobEvidence], data: st.DataObject) -> None:
    remaining = {each.name: data.draw(st.integers(0, 20)) for each in evidence}
    early = {(finding.kind, finding.job) for finding in judge_early(evidence, remaining, POLICY)}
    ended = []
    for each in evidence:
        more = data.draw(st.lists(SAMPLE, max_size=remaining[each.name]))
        ended.append(JobEvidence(each.name, each.before, [*each.after, *more]))

    certain = {finding for finding in early if finding[0] is not K.ALL_FAILED and finding[0] is not K.NO_RUN}
    assert certain <= found(ended)
    if early:
        exhausted = [(kind, job) for kind, job in early if kind in (K.ALL_FAILED, K.NO_RUN)]
        assert all(remaining[job] == 0 for _, job in exhausted)


@settings(max_examples=60, deadline=None)
@given(JOBS)
def test_at_the_end_nothing_remains(evidence: list[JobEvidence]) -> None:
    assert judge_early(evidence, {}, POLICY) == judge(evidence, POLICY)


@settings(max_examples=60, deadline=None)
@given(JOBS, st.floats(0.5, 20))
def test_slower_runs_remove_no_finding(evidence: list[JobEvidence], factor: float) -> None:
    slower = [
        JobEvidence(
            each.name,
            each.before,
            [RunSample(run.succeeded, run.milliseconds * max(1.0, factor)) for run in each.after],
        )
        for each in evidence
    ]

    assert found(evidence) <= found(slower)


@settings(max_examples=60, deadline=None)
@given(SIDE.filter(bool))
def test_what_is_as_before_is_accepted(side: list[RunSample]) -> None:
    """The same runs once more."""
    assert found([JobEvidence("a", side, side)]) == set()


@pytest.mark.parametrize("share", [0.0, 0.005, 0.02, 0.1, 0.5])
def test_a_deployment_that_changes_nothing_is_rarely_refused(share: float) -> None:
    """Seeded: 150 gates with five jobs of 360 runs before and 40 after, all with the same distribution."""
    chance = random.Random(f"gate {share}")

    def play(number: int) -> list[RunSample]:
        return [RunSample(chance.random() >= share, chance.lognormvariate(4, 0.4)) for _ in range(number)]

    refused = sum(
        bool(judge([JobEvidence(f"j{n}", play(360), play(40)) for n in range(5)], POLICY)) for _ in range(150)
    )
    assert refused <= 0.02 * 150


@pytest.mark.parametrize(("share", "at_least"), [(0.3, 0.97), (0.5, 1.0), (1.0, 1.0)])
def test_a_bad_deployment_is_refused(share: float, at_least: float) -> None:
    chance = random.Random(f"bad {share}")

    def play(number: int, failing: float) -> list[RunSample]:
        return [RunSample(chance.random() >= failing, 100.0) for _ in range(number)]

    refused = sum(bool(judge([JobEvidence("a", play(360, 0.01), play(40, share))], POLICY)) for _ in range(200))
    assert refused >= at_least * 200


@pytest.mark.parametrize(
    ("before", "expected"),
    [(runs(360), NOISE), (runs(0), 0.073), (runs(0, 360), 0.98), (runs(342, 18), 0.071), (runs(0, 1), 0.28)],
)
def test_the_usual_share_of_failures(before: list[RunSample], expected: float) -> None:
    assert expect_failures(before) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("number", [0, 1, 5, 40])
def test_the_binomial_tail_is_exact(share: float, number: int) -> None:
    for count in range(number + 2):
        exact = sum(comb(number, k) * share**k * (1 - share) ** (number - k) for k in range(count, number + 1))
        assert find_binomial_tail(count, number, share) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("mean", [0.0, 0.1, 4.0, 60.0])
def test_the_poisson_tail_is_exact(mean: float) -> None:
    for count in (0, 1, 3, 10, 80):
        exact = 1 - sum(exp(-mean) * mean**k / factorial(k) for k in range(count))
        assert find_poisson_tail(count, mean) == pytest.approx(exact, abs=1e-9)
    assert 0 < find_poisson_tail(40, 4.0) < 1e-20


def test_quantiles_are_values_that_were_measured() -> None:
    assert [find_quantile([3.0, 1.0, 2.0, 4.0], share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 2.0, 4.0, 4.0]
