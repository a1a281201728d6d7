"""The policies of a job: timeouts, retries, catch-up, circuit, concurrency group, telemetry. Data only."""

from jobs.policies.execution import MAX_RUN_TIMEOUT, CatchUp, CircuitPolicy, RetryPolicy, Timeouts

__all__ = ["MAX_RUN_TIMEOUT", "CatchUp", "CircuitPolicy", "RetryPolicy", "Timeouts"]
