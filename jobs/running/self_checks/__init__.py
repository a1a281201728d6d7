"""Self-checks: whether the scheduler itself can resolve names, connect and read the time.

Called by jobs.running.execution for runs that failed. While a self-check fails, they do not describe their targets.
"""
