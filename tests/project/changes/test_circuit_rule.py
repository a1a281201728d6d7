"""Adding a rule that opens a circuit touches the rules, the policy with its key, and the table for users."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

RULE = """

def _failures(policy: CircuitPolicy, counts: RunCounts) -> str:
    if policy.failures is None or counts.failures < policy.failures:
        return ""
    return f"{counts.failures} failures in the window"
"""
USE_IT = """
from datetime import UTC, datetime
from jobs.policies import CircuitPolicy
from jobs.running.circuit_state import CLOSED_CIRCUIT, CircuitPermit
from jobs.running.circuit_state_machine import record_result

policy = CircuitPolicy(failures=2, minimum_calls=1)
state = CLOSED_CIRCUIT
for failed in (True, False, True):
    state = record_result(state, policy, datetime(2026, 3, 1, tzinfo=UTC), CircuitPermit(0), failed)
print(state.condition, state.opened_reason)
"""


def test_a_circuit_rule(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a circuit rule")
    rules, policy = "jobs/running/circuit_state_machine.py", "jobs/policies/execution.py"
    change.insert(rules, before="def _is_reached(", text=f"{RULE.strip()}\n\n")
    change.insert(rules, after="    _slow_rate,", text="    _failures,")
    change.insert(policy, after='    "slow_rate",', text='    "failures",')
    change.insert(
        policy,
        after="    slow_rate: float | None",
        text="    failures: int | None = Field(default=None, ge=1, le=MAX_WINDOW_RUNS)",
    )
    change.insert(
        "docs/jobs.md", after="| `slow_rate: 0.8` with", text="| `failures: 5` | so many runs in the window failed |"
    )

    assert change.python(USE_IT).splitlines() == ["open 2 failures in the window"]
    change.pytest("tests/docs/test_jobs_page.py")
    change.assert_touches_documented_files()
