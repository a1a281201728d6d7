"""Hostile scalars and small values for each kind of key of a job. See the package."""

# ruff: noqa: RUF001

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Maker = Callable[[Random], Any]


class Raw:
    """A piece of text that is written to the file unchanged: no value of Python can be dumped as it."""

    def __init__(self, text: str) -> None:
        self.text = text


def one_of(*makers: Any) -> Maker:
    """Choose one: a value, or a function that makes one."""

    def choose(rng: Random) -> Any:
        chosen = rng.choice(makers)
        return chosen(rng) if callable(chosen) else chosen

    return choose


def long_text(rng: Random) -> str:
    unit = rng.choice(["a", "é", "\U0001f642", "a b ", "\\", '"', "%", "{", "${", "\n", "\u202e", "0", "x,", "/", "."])
    return unit * rng.choice([100, 501, 1_001, 5_000, 70_000])


def odd_character(rng: Random) -> str:
    return (
        "a"
        + rng.choice(
            [
                "\0",
                "\x1b[2J",
                "\x1b]0;x\x07",
                "\x9b31m",
                "\x7f",
                "\r",
                "\n",
                "\u2028",
                "\u202e",
                "\u2066",
                "\ufeff",
                "\ud800",
                "\udfff",
                "\U0010ffff",
                "\u200b",
                "\ufffe",
                "\u0130",
                "\u1e9e",
            ]
        )
        + "b"
    )


TEXTS = one_of(
    "",
    " ",
    "\t",
    "x",
    "null",
    "true",
    "~",
    "-",
    "#",
    "*a",
    "&a",
    "!!str",
    "<<",
    "%APP%",
    "%PATH%",
    "%%%",
    "%" * 300,
    "${HOME}",
    "${a}" * 50,
    "$$" * 100,
    "{secret: x}",
    "{{ x }}",
    "مرحبا",
    "שלום",
    long_text,
    odd_character,
)

NUMBERS = one_of(
    0,
    -1,
    1,
    2,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    10**30,
    10**400,
    -(10**400),
    0.1,
    -0.0,
    1e308,
    -1e308,
    5e-324,
    True,
    None,
    "1",
    "NaN",
    "inf",
    "1e5",
    "0x10",
    "1_000",
    "٣",
    "²",
    Raw("1e999999"),
    Raw("-1e999999"),
    Raw("9" * 5_000),
    Raw("1" * 100_000),
    Raw("0x" + "f" * 5_000),
    Raw(".inf"),
    Raw("0o" + "7" * 9_000),
    Raw("1." + "0" * 9_000),
    Raw("1e-999999"),
    Raw("00"),
    Raw("+1"),
    Raw("NaN"),
    Raw("-Infinity"),
)

DURATIONS = one_of(
    "1s",
    "0s",
    "-1s",
    "1e308s",
    "1e999999s",
    "NaN",
    "inf",
    "infs",
    "nan s",
    "9" * 400 + "s",
    "9" * 5_000 + "d",
    "0." + "0" * 4_000 + "1s",
    "1s" * 500,
    "P9999999999D",
    "PT9999999999999999999999H",
    "1y",
    "1 s",
    "١s",
    "1ms1ms",
    "1h1h1h",
    "999999999999999999999d",
    "0.1ms",
    "00000001s",
    "1.s",
    ".5s",
    "s",
    "",
    NUMBERS,
    TEXTS,
)

INSTANTS = one_of(
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59Z",
    "0000-00-00",
    "2026-02-30",
    "2026-13-01T25:61:61Z",
    "2026-01-01T00:00:00+99:99",
    "2026-01-01T00:00:00." + "9" * 5_000 + "Z",
    "-2026-01-01",
    "12026-01-01",
    "2026-W01-1",
    "2026-001",
    "1e3",
    "now",
    "2026-01-01T00:00:00 Europe/Berlin",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "２０２６-01-01",
    NUMBERS,
    TEXTS,
)
