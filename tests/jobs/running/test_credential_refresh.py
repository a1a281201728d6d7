"""A target that refuses the credentials of an attempt: they are read again, and tried again if they were changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from jobs.checks.port import AttemptContext
from jobs.ports import CredentialRefresh
from jobs.running.retry_budget import RetryBudget
from jobs.runs import ErrorClass, Observation, Outcome, Run
from jobs.targets import Target
from tests.jobs.running.run_parts import TICKET, Stage, answer, job

CHANGED = CredentialRefresh(is_changed=True, message="the secret a had been changed and was read again")
SAME = CredentialRefresh(is_changed=False, message="the secret a is still what the vault held at 12:00")


@dataclass
class Refusing:
    """A check that uses a secret: its renewals come one after the other."""

    stage: Stage
    renewals: list[CredentialRefresh]
    asked: int = 0
    takes_s: float = 0.0

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        call.credential_refreshes.append(self._renewed)
        return await self.stage.check.observe(target, call)

    async def _renewed(self) -> CredentialRefresh:
        self.asked += 1
        await self.stage.clock.sleep(self.takes_s)
        return self.renewals.pop(0) if len(self.renewals) > 1 else self.renewals[0]

    async def aclose(self) -> None:
        """Holds nothing."""


def refusing(
    *answers: Observation,
    renewals: list[CredentialRefresh] | None = None,
    takes_s: float = 0.0,
    budget: RetryBudget | None = None,
) -> Refusing:
    stage = Stage(*answers, budget=budget)
    made = Refusing(stage, renewals or [CHANGED], takes_s=takes_s)
    stage.runner._dependencies.executor.checks["http"] = made  # type: ignore[attr-defined]
    return made


async def run(of: Refusing, **more: Any) -> Run:
    return await of.stage.runner.run(job(**more), TICKET)


@pytest.mark.parametrize("status", [401, 403])
async def test_changed_credentials_are_tried_at_once(status: int) -> None:
    of = refusing(answer(status), answer())
    made = await run(of, retry={"attempts": 1})
    assert made.outcome is Outcome.SUCCEEDED
    first, second = made.attempts
    assert first.message.endswith(
        f"The target rejected the credentials ({status}); the secret a had been changed and was read again."
    )
    assert (first.wait_ms, second.number, second.message) == (0.0, 2, "")
    assert [event.attempt.number for event in of.stage.heard.retried] == [1]


async def test_unchanged_credentials_fail_as_ever_and_report_where_they_came_from() -> None:
    of = refusing(answer(401), renewals=[SAME])
    made = await run(of)
    assert (made.outcome, len(made.attempts), made.error) == (Outcome.FAILED, 1, ErrorClass.UNEXPECTED_STATUS)
    assert made.message == (
        "Answered 401, expected 2xx. The target rejected the credentials (401); "
        "the secret a is still what the vault held at 12:00."
    )


async def test_a_run_reads_once() -> None:
    of = refusing(answer(401))
    made = await run(of)
    assert (len(made.attempts), of.asked) == (2, 1)
    assert made.outcome is Outcome.FAILED


async def test_a_request_that_is_not_repeated_otherwise_is_repeated_for_this() -> None:
    of = refusing(answer(401), answer())
    made = await run(of, check={"url": "https://checkout.internal/", "method": "POST"})
    assert made.outcome is Outcome.SUCCEEDED


async def test_it_comes_on_top_of_the_attempts_of_the_policy() -> None:
    of = refusing(answer(503), answer(401), answer(503), answer())
    made = await run(of, retry={"attempts": 3, "jitter": "none"})
    assert [attempt.status for attempt in made.attempts] == [503, 401, 503, 200]
    assert made.outcome is Outcome.SUCCEEDED


async def test_what_is_repeated_for_changed_credentials_neither_requests_the_retry_budget_nor_takes_from_it() -> None:
    of = refusing(*[answer(401), answer()] * 3, answer(503), answer(), budget=RetryBudget(per_minute=1, share=0))
    for _ in range(4):
        assert (await run(of, retry={"jitter": "none", "initial": "0s"})).outcome is Outcome.SUCCEEDED


async def test_a_refusal_that_is_expected_is_none() -> None:
    of = refusing(answer(401))
    made = await run(of, expect=[{"status": 401}])
    assert (made.outcome, of.asked) == (Outcome.SUCCEEDED, 0)


async def test_an_attempt_without_credentials_is_not_repeated() -> None:
    stage = Stage(answer(401), answer())
    assert len((await stage.run()).attempts) == 1


async def test_a_vault_that_does_not_answer_does_not_hold_the_run_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.running.attempts.MAX_CREDENTIAL_REFRESH", 0.05)
    of = refusing(answer(401), takes_s=60.0)
    made = await run(of)
    assert len(made.attempts) == 1
    assert made.message.endswith("(401); a refresh did not finish in time.")


async def test_a_secret_at_the_end_of_a_long_reason_is_not_shown_in_part() -> None:
    stage = Stage(answer(500, reason="x" * 80 + " canary-of-the-vault"))
    stage.redactor.add_permanent("canary-of-the-vault")
    assert "canary" not in (await stage.run()).message


@pytest.mark.parametrize(
    ("method", "retry", "attempts"),
    [("GET", {}, 2), ("POST", {}, 1), ("POST", {"non_idempotent": True}, 2)],
)
async def test_steps_that_have_acted_begin_again_only_where_they_may(
    method: str, retry: dict[str, Any], attempts: int
) -> None:
    of = refusing(answer(401, error=ErrorClass.STEP_FAILED, message="Step 2 failed."), answer())
    of.stage.runner._dependencies.executor.checks["steps"] = of  # type: ignore[attr-defined]
    steps = [{"name": "order", "url": "https://checkout.internal/", "method": method}]
    made = await run(of, check={"kind": "steps", "steps": steps}, retry=retry)
    assert len(made.attempts) == attempts
    assert "had been changed and was read again" in made.attempts[0].message
