"""Self-checks: whether the scheduler itself can resolve names, connect and read the time.

Consulted for each run that failed. While a self-check fails, such runs do not describe their targets.
"""
