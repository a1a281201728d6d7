"""Counts in sentences."""

from __future__ import annotations


def format_count(number: int, singular: str, plural: str = "") -> str:
    """Format as `1 job`, `2 jobs`. `plural`: the words for any other number than 1; empty: `singular` with an s."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"
