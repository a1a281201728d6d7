from __future__ import annotations

import random
from contextlib import nullcontext
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.policies import RetryPolicy
from jobs.running.attempts import AttemptResult, RetryRules, next_wait, retry_until_decided, should_retry
from jobs.runs import Attempt, ErrorClass, Phases
from tests.jobs.running.running_cases import cases
from tests.jobs.running.virtual_time import START

DEFAULT = RetryPolicy()
CONNECTION = {
    ErrorClass.DNS_FAILURE,
    ErrorClass.CONNECTION_REFUSED,
    ErrorClass.CONNECTION_RESET,
    ErrorClass.CONNECTION_FAILED,
    ErrorClass.TLS_FAILURE,
    ErrorClass.PROTOCOL_ERROR,
}
TIMEOUT = {error for error in ErrorClass if error.value.endswith("_timeout")}


def attempt(error: ErrorClass | None, status: int | None = None) -> Attempt:
    return Attempt(1, START, Phases(), status=status, error=error)


def answered(status: int) -> Attempt:
    return attempt(ErrorClass.UNEXPECTED_STATUS, status)


def on(*conditions: str) -> RetryPolicy:
    return RetryPolicy.model_validate({"on": conditions})


def of(measure: str) -> list[Any]:
    return [case for case in cases("retry_waits") if measure in case.values[0]]


@pytest.mark.parametrize("case", of("wait"))
def test_a_wait_is_what_other_retry_libraries_make_of_the_same_policy(case: dict[str, Any]) -> None:
    policy, drawn = RetryPolicy.model_validate(case["retry"]), case.get("drawn", 0.5)
    assert next_wait(policy, case["after_attempt"], None, lambda: drawn) == pytest.approx(case["wait"])


@pytest.mark.parametrize("case", of("mean_of_4000"))
def test_drawn_waits_have_the_mean_of_other_retry_libraries(case: dict[str, Any]) -> None:
    policy, draw = RetryPolicy.model_validate(case["retry"]), random.Random(7).random
    mean = fmean(next_wait(policy, case["after_attempt"], None, draw) for _ in range(4000))
    assert mean == pytest.approx(case["mean_of_4000"], abs=case["give_or_take"])


@pytest.mark.parametrize("case", of("at_least"))
def test_drawn_waits_lie_between_the_bounds_of_other_retry_libraries(case: dict[str, Any]) -> None:
    policy, number = RetryPolicy.model_validate(case["retry"]), case["after_attempt"]
    assert next_wait(policy, number, None, lambda: 0.0) == pytest.approx(case["at_least"])
    assert next_wait(policy, number, None, lambda: 1 - 2**-53) == pytest.approx(case["at_most"])


@pytest.mark.parametrize("case", of("waits"))
async def test_there_are_as_many_waits_as_in_other_retry_libraries(case: dict[str, Any]) -> None:
    waits: list[float] = []

    async def again() -> AttemptResult:
        return AttemptResult(answered(503))

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def allow() -> bool:
        return True

    policy = RetryPolicy.model_validate(case["retry"])
    rules = RetryRules(
        policy, True, lambda: 1e9, lambda: 0.5, sleep, lambda *_: None, lambda *_: None, acquire_retry=allow
    )
    await retry_until_decided(AttemptResult(answered(503)), again, rules)
    assert len(waits) == case["waits"]


@pytest.mark.parametrize("case", of("fits"))
def test_a_policy_is_refused_that_other_retry_libraries_refuse(case: dict[str, Any]) -> None:
    with nullcontext() if case["fits"] else pytest.raises(ValidationError):
        RetryPolicy.model_validate(case["retry"])


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"jitter": "some"}, "write none, full, equal, a share of the wait such as 25%"),
        ({"jitter": "101%"}, "write none, full, equal, a share of the wait such as 25%"),
        ({"min": "5s", "max": "2s"}, r"min \(5s\) is more than max \(2s\)"),
        ({"delays": []}, "at least 1 item"),
        ({"delays": ["1s"] * 20}, "at most 19 items"),
        ({"multiplier": 0.5}, "greater than or equal to 1"),
        ({"attempts": 0}, "0 attempts are too few: the first attempt counts, so 1 means no retry"),
        ({"attempts": -1}, "-1 attempts are too few"),
        ({"attempts": 21}, "less than or equal to 20"),
        ({"initial": "-1s"}, "'-1s' is negative: write it like 500ms"),
        ({"delays": ["1s", "-5s"]}, "'-5s' is negative"),
        ({"increment": "fast"}, "not a duration"),
    ],
    ids=str,
)
def test_a_policy_that_makes_no_sense_is_refused_with_what_is_wrong(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RetryPolicy.model_validate(policy)


@pytest.mark.parametrize(
    ("policy", "longest"),
    [
        ({}, 10),
        ({"initial": "30s"}, 30),
        ({"delays": ["1s", "30s", "5s"]}, 30),
        ({"min": "20s"}, 20),
        ({"delays": ["1s", "30s"], "max": "10s"}, 10),
        ({"initial": "30s", "max": "20s"}, 20),
    ],
    ids=str,
)
def test_a_wait_that_a_job_requests_is_cut_by_a_max_that_it_gives_and_not_by_the_usual_one(
    policy: dict[str, Any], longest: float
) -> None:
    assert RetryPolicy.model_validate(policy).max == longest


def test_delays_alone_give_an_attempt_after_each_of_them() -> None:
    assert RetryPolicy.model_validate({"delays": ["1s", "5s"]}).attempts == 3


@pytest.mark.parametrize(("jitter", "waits"), [("full", (0, 8)), ("equal", (4, 8)), ("50%", (4, 12)), ("1s", (8, 9))])
def test_jitter_draws_a_wait_from_its_own_range(jitter: str, waits: tuple[float, float]) -> None:
    policy = RetryPolicy(backoff="constant", initial=8.0, max=20.0, jitter=jitter)
    drawn = [next_wait(policy, 1, None, lambda number=number: number) for number in (0.0, 1.0)]
    assert drawn == [pytest.approx(wait) for wait in waits]


@given(
    st.builds(
        RetryPolicy,
        backoff=st.sampled_from(["constant", "linear", "exponential"]),
        initial=st.floats(0, 100),
        max=st.floats(0, 1000),
        increment=st.none() | st.floats(0, 100),
        delays=st.none() | st.lists(st.floats(0, 2000), min_size=1, max_size=19).map(tuple),
        multiplier=st.floats(1, 10),
        jitter=st.sampled_from(["none", "full", "equal", "25%", "100%", "30s"]),
    ),
    st.integers(1, 2000),
    st.floats(0, 1, exclude_max=True),
)
def test_without_retry_after_a_wait_is_never_negative_nor_more_than_max(
    policy: RetryPolicy, number: int, drawn: float
) -> None:
    assert 0 <= next_wait(policy, number, None, lambda: drawn) <= policy.max


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [(None, 0.25), (0.0, 0.25), (0.125, 0.25), (7.0, 7.0), (120.0, 120.0)],
)
def test_a_retry_after_lengthens_the_wait_beyond_max_and_never_shortens_it(
    retry_after: float | None, wait: float
) -> None:
    assert next_wait(DEFAULT, 1, retry_after, lambda: 0.5) == wait


@pytest.mark.parametrize("error", list(ErrorClass))
def test_by_default_connection_errors_and_time_outs_are_repeated_and_no_other_error(error: ErrorClass) -> None:
    assert should_retry(DEFAULT, True, attempt(error)) is (
        error in CONNECTION | TIMEOUT | {ErrorClass.TOO_MANY_CONNECTIONS}
    )


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_by_default_answers_that_may_mend_themselves_are_repeated(status: int) -> None:
    assert should_retry(DEFAULT, True, answered(status))


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 409, 422])
def test_by_default_other_answers_are_not_repeated(status: int) -> None:
    assert not should_retry(DEFAULT, True, answered(status))


def test_an_answer_that_is_as_expected_is_not_repeated_whatever_its_status() -> None:
    assert not should_retry(DEFAULT, True, attempt(None, 503))


@pytest.mark.parametrize("failed", [attempt(ErrorClass.CONNECTION_REFUSED), answered(503)])
def test_what_is_not_idempotent_is_repeated_only_if_the_job_reports_it(failed: Attempt) -> None:
    assert not should_retry(DEFAULT, False, failed)
    assert should_retry(RetryPolicy(non_idempotent=True), False, failed)


@pytest.mark.parametrize(
    ("condition", "repeated"),
    [
        ("connection", attempt(ErrorClass.CONNECTION_RESET)),
        ("timeout", attempt(ErrorClass.DNS_TIMEOUT)),
        ("expectation", attempt(ErrorClass.EXPECTATION_FAILED, 200)),
        ("404", answered(404)),
        ("4xx", answered(404)),
    ],
)
def test_a_condition_repeats_what_it_names_and_nothing_else(condition: str, repeated: Attempt) -> None:
    assert should_retry(on(condition), True, repeated)
    others = {"connection", "timeout", "expectation", "403", "3xx"} - {condition}
    assert not should_retry(on(*others), True, repeated)


def test_a_status_as_expected_with_a_wrong_body_is_no_matter_of_its_status() -> None:
    assert not should_retry(on("503"), True, attempt(ErrorClass.EXPECTATION_FAILED, 503))
