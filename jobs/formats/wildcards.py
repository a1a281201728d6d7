"""Texts with `*` for anything in them, compared without going back. For expectations and rules about hosts. Pure."""

from __future__ import annotations


def matches_wildcard(text: str, pattern: str) -> bool:
    """Whether the whole text is as the pattern says, in which each `*` stands for any text, an empty one, too."""
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
