"""Read HTTP responses of any server within limits: bytes, encodings and time. Used wherever the program is a client.

bounded_body   collects a body, decompressed step by step, up to a limit
reading        sends a request of an httpx client and reads its response

Checks have their own exchange (jobs.checks.http) and share the body. A test forbids other ways to read a body.
"""
