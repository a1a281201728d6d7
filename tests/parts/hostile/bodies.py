"""Hostile documents: deep, broad, and anything at all. See the package."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.parts.hostile.places import PATHS, SECRETS, URLS
from tests.parts.hostile.values import DURATIONS, INSTANTS, NUMBERS, TEXTS, one_of


def deep(rng: Random) -> Any:
    """A value that is nested as deep as Python dumps it, or broad."""
    value: Any = TEXTS(rng)
    for _ in range(rng.choice([5, 60, 95, 300])):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def broad(rng: Random) -> Any:
    size = rng.choice([100, 10_001, 30_000])
    return list(range(size)) if rng.random() < 0.5 else {f"k{number}": 0 for number in range(size)}


ANYTHING = one_of(TEXTS, NUMBERS, DURATIONS, INSTANTS, URLS, PATHS, SECRETS, deep, broad, [], {}, None, False)

BODIES = one_of(
    {"text": "a"},
    lambda r: {"text": TEXTS(r), "content_type": TEXTS(r)},
    lambda r: {"json": deep(r)},
    lambda r: {"json": broad(r)},
    lambda r: {"json": NUMBERS(r)},
    lambda r: {"form": {TEXTS(r): SECRETS(r)}},
    lambda r: {"form": {f"k{number}": "v" for number in range(5_000)}},
    lambda r: {"text": "a", "json": 1},
    ANYTHING,
)
SIZES = one_of("1MiB", "0", "-1B", "999999999999TiB", "1e308KiB", "1.5.5MB", "9" * 4_000 + "GiB", NUMBERS, TEXTS)
