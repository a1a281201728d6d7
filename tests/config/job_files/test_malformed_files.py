"""Whatever a job file holds, it loads or gives problems that name it: never another exception."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader
from jobs.problems import Problem
from tests.project import ROOT

SAMPLES = ROOT / "config" / "jobs" / "samples"
SEED = 20261125
PIECES = [
    b"\0", b"\t", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b":", b": ", b"- ", b"*a", b"&a ", b"!!python/x ",
    b"|", b">", b"#", b"'", b'"', b"\n", b"---\n", b"...\n", b"? ", b"<<: ", b",", b"%", b"@", b"\\", b"null", b"1e999",
    b"\xc2\x85", b"\xe2\x80\xa8", b"${SAMPLE_TARGET}", b"9" * 5000, b"[" * 500, b"\r", b".nan", b"NaN", b"jobs:",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, -1, 0, 10**30, 1.5, float("inf"), "", "x", "5s", "\x7f", [], {}, [[]], {"": {}}, {"kind": []},
    {"secret": 5}, ["x"] * 3, {"a": {"b": {"c": {}}}}, "http://[", "*/0 * * * * *", {"every": []}, [None], "é" * 200,
]  # fmt: skip


def truncated(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def mutated(rng: random.Random, content: bytes) -> bytes:
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(content))
        length = rng.choice((0, 0, 1, 5))
        content = content[:at] + rng.choice(PIECES) + content[at + length :]
    return content


def without_lines(rng: random.Random, content: bytes) -> bytes:
    rows = content.split(b"\n")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(rows))
        if rng.random() < 0.5:
            rows[at] = b" " * rng.randint(0, 6) + rows[at].lstrip()
        else:
            del rows[at]
    return b"\n".join(rows)


def of_wrong_types(rng: random.Random, content: bytes) -> bytes:
    value = yaml.safe_load(content.replace(b"\t", b" "))
    for _ in range(rng.randint(1, 4)):
        holders = list(_holders(value))
        holder, key = rng.choice(holders)
        if rng.random() < 0.2 and isinstance(holder, dict):
            holder[f"{key}s"] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    return (json.dumps if content.startswith(b"{") else yaml.safe_dump)(value).encode()


def random_bytes(rng: random.Random, _: bytes) -> bytes:
    return rng.randbytes(rng.randint(0, 300))


def random_pieces(rng: random.Random, _: bytes) -> bytes:
    return b"".join(rng.choices([*PIECES, b"a", b"check", b"url", b" ", b"  "], k=rng.randint(1, 40)))


def _holders(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, child in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(child, (dict, list)):
            yield from _holders(child)


WAYS = (truncated, mutated, without_lines, of_wrong_types, random_bytes, random_pieces)


@pytest.mark.parametrize("way", WAYS)
def test_malformed_files_load_or_are_reported(way: Any, tmp_path: Path) -> None:
    rng = random.Random(f"{SEED} {way.__name__}")
    originals = sorted(SAMPLES.iterdir())
    refused = 0
    for number in range(170):
        original = rng.choice(originals)
        file = tmp_path / f"{number}{original.suffix}"
        file.write_bytes(way(rng, original.read_bytes().replace(b"${SAMPLE_TARGET}", b"http://127.0.0.1:1")))
        problems = _problems(file)
        refused += bool(problems)
        for problem in problems:
            assert (problem.file, bool(problem.line), bool(problem.message)) == (file.name, True, True)
            assert str(problem).isprintable()
    assert refused > 80


def _problems(file: Path) -> tuple[Problem, ...]:
    try:
        JobFileReader(file.parent).read(file)
    except ConfigurationError as error:
        return error.problems
    return ()
