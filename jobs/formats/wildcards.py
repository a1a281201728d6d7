"""Wildcard patterns with `*`, matched without backtracking. For expectations and host rules. Pure."""

from __future__ import annotations


def matches_wildcard(text: str, pattern: str) -> bool:
    """Return whether the whole text matches the pattern; each `*` matches any text, including the empty one."""
    first, *parts = pattern.split("*")
    if not parts:
        return text == pattern
    last = parts.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in parts:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
