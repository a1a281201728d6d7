"""Formats keys, choices and values for messages, without secrets. Used by the modules of jobs.problems."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from jobs.problems.findings import make_printable
from jobs.problems.suggestions import did_you_mean, join_names, suggest_name


def describe_unknown_key(key: str, known: Iterable[str], *, noun: str = "key") -> tuple[str, str]:
    """Return message and hint for an unknown key; `noun`: what the messages call it."""
    names = tuple(known)
    near = suggest_name(key, names)
    hint = "" if near or not names else f"known {noun}s: {join_names(names)}"
    return f"unknown {noun}{did_you_mean(near)}", hint


def describe_wrong_choice(value: Any, allowed: tuple[str, ...], *, show: bool = True) -> tuple[str, str]:
    """Return message and hint for a value that is not allowed; `show`: whether the message contains the value."""
    near = suggest_name(value, allowed) if isinstance(value, str) else None
    shown = format_value(value) if show else "the value"
    return f"{shown} is not allowed{did_you_mean(near)}", f"allowed: {join_names(allowed)}"


def format_value(value: Any) -> str:
    """Format a value for a message: short, on one line, URLs without password and query."""
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return make_printable(_number_text(value))
    if isinstance(value, str):
        return repr(make_printable(strip_url_secrets(value), 60))
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else "the value"


def _number_text(value: int | float) -> str:
    try:
        return repr(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        return "a number with thousands of digits"


def strip_url_secrets(text: str) -> str:
    """Remove the parts of a URL that can be secret: user, password, query and fragment."""
    if "://" not in text:
        return text
    scheme, _, rest = text.partition("://")
    plain = re.split(r"[?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{plain.rpartition('@')[2]}"
