"""The messages of checks: what went wrong, who did it, and what to check.

An operator reads them at an alert. They never contain more of a URL than host and port, nor bytes that a target sent.
"""
