"""Puts hostile job files together. See the package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.parts.hostile import definitions, texts


@dataclass(frozen=True, slots=True)
class HostileFile:
    """`kind`: what it is made of, for people."""

    name: str
    content: bytes
    kind: str


def hostile_file(seed: int) -> HostileFile:
    """Make the file of this seed."""
    rng = Random(seed)
    suffix = rng.choice(["yaml", "yaml", "json", "yml"])
    if rng.random() < 0.35:
        make = rng.choice(texts.JSON if suffix == "json" else texts.YAML)
        text, kind = make(rng), make.__name__
    else:
        text, kind = _document(rng)
    content = _encoded(rng, text)
    if rng.random() < 0.05:
        content, kind = _damaged(rng, content), f"damaged {kind}"
    return HostileFile(f"{rng.choice(['jobs', 'a-b', 'x' * 100])}.{suffix}", content, kind)


def _document(rng: Random) -> tuple[str, str]:
    number = rng.choice([1, 1, 1, 1, 2, 5])
    match rng.choice(["jobs", "jobs", "jobs", "list", "top", "flat", "flat one", "defaults"]):
        case "jobs":
            value: Any = {"jobs": {definitions.name(rng): definitions.job(rng) for _ in range(number)}}
        case "list":
            jobs = [definitions.job(rng) for _ in range(number)]
            value = {"jobs": [{"name": definitions.name(rng), **job} if isinstance(job, dict) else job for job in jobs]}
        case "top":
            value = {definitions.name(rng): definitions.job(rng) for _ in range(number)}
        case "flat":
            value = {"Jobs": [definitions.flat_job(rng) for _ in range(number)]}
        case "flat one":
            value = definitions.flat_job(rng)
        case _:
            under = definitions.some(rng, definitions.JOB, 3)
            value = {"defaults": under, "jobs": {f"j{n}": definitions.job(rng) for n in range(number)}}
    return dumped(value, rng), "document"


def dumped(value: Any, rng: Random) -> str:
    """Return the value as JSON, which YAML takes too; pieces of raw text as they are."""
    raws: list[str] = []

    def hold(one: Any) -> str:
        raws.append(one.text)
        return f"\ue000{len(raws) - 1}\ue000"

    text = json.dumps(_made(value, rng), default=hold, ensure_ascii=False, check_circular=False)
    for number, raw in enumerate(raws):
        text = text.replace(f'"\ue000{number}\ue000"', raw, 1)
    # A half of a pair can stand in a file as an escape only.
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)


def _made(value: Any, rng: Random) -> Any:
    """Makers that stand in a value are called; the keys of mappings are texts."""
    if callable(value):
        return _made(value(rng), rng)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key)[:50]: _made(one, rng) for key, one in value.items()}
    return [_made(one, rng) for one in value] if isinstance(value, (list, tuple)) else value


def _encoded(rng: Random, text: str) -> bytes:
    if rng.random() < 0.95:
        return text.encode("utf-8", "surrogatepass")
    encoding = rng.choice(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "utf-7", "cp037"])
    return text.encode(encoding, "replace")


def _damaged(rng: Random, content: bytes) -> bytes:
    pieces = [
        b"\0",
        b"\xff",
        b"\xfe\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\x1b",
        b"\r",
        b"\xe2\x80\xae",
    ]
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) + 1)
        content = content[:at] + rng.choice(pieces) + content[at + rng.choice([0, 1, 50]) :]
    return content if rng.random() < 0.7 else content[: rng.randrange(len(content) + 1)]


def hostile_files(seeds: range) -> Iterator[tuple[int, HostileFile]]:
    """Make the files of these seeds, with them."""
    for seed in seeds:
        yield seed, hostile_file(seed)
