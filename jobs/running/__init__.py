"""Executes one run of a job: attempts, retries, deadlines, circuit breaker."""
