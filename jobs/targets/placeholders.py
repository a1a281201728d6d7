"""Finds and replaces `${name}`, a saved value of an earlier step, in the texts of a request. Pure.

Called by steps.py to validate them, and by jobs.checks.kinds to replace them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

VALUE_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_PLACEHOLDER = re.compile(r"\$(?:\$|\{([^{}]*)\})")
"""`$$` is a single dollar sign."""


def find_names(value: Any) -> Iterator[str]:
    """Yield the names of all placeholders in a text, or in the texts of a JSON value."""
    for text in _texts_in(value):
        yield from (found[1] for found in _PLACEHOLDER.finditer(text) if found[1] is not None)


def has_placeholders(value: Any) -> bool:
    """Whether a text, or a text in a JSON value, has a placeholder or `$$`."""
    return any("$" in text and _PLACEHOLDER.search(text) for text in _texts_in(value))


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts_in(key)
            yield from _texts_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts_in(one)


def fill_text(text: str, values: Mapping[str, Any], quote: Callable[[str], str] = str) -> str:
    """Replace the placeholders of a text by the values; `quote` encodes each value."""

    def value_of(found: re.Match[str]) -> str:
        return "$" if found[1] is None else quote(format_as_text(values[found[1]]))

    return _PLACEHOLDER.sub(value_of, text) if "$" in text else text


def fill_json(value: Any, values: Mapping[str, Any]) -> Any:
    """Replace the placeholders in the texts of a JSON value.

    A text that is only a placeholder becomes the value itself, so that a number stays a number.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        return values[whole[1]] if whole is not None and whole[1] is not None else fill_text(value, values)
    if isinstance(value, Mapping):
        return {fill_text(key, values): fill_json(one, values) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill_json(one, values) for one in value]
    return value


def format_as_text(value: Any) -> str:
    """Return a text unchanged, and every other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
