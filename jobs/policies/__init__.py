"""The policies of a job: timeouts, retries, catch-up, circuit, concurrency group, telemetry. Data only."""

from jobs.policies.catch_up import CatchUp
from jobs.policies.circuit import CircuitPolicy
from jobs.policies.retry import RetryPolicy
from jobs.policies.timeouts import LONGEST_RUN_TIMEOUT, Timeouts

__all__ = ["LONGEST_RUN_TIMEOUT", "CatchUp", "CircuitPolicy", "RetryPolicy", "Timeouts"]
