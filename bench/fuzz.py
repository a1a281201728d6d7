"""Fuzz the API, or the clients of receivers, proxies, mail servers and calendars.

    ./dev bench fuzz                  # the API by Schemathesis, 300 examples an operation, on SQLite and Azurite
    ./dev bench fuzz --answers 500    # so many hostile answers of each peer: what they cost, in one table

`--store` selects a store, or Microsoft's worker, which needs Python 3.13: run
`.venv-worker/bin/python -m bench.fuzz --store worker`.
A failed check is printed with a curl command; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench._parts import show
from tests.parts.azurite import running_azurite
from tests.parts.functions_host import MASTER_KEY
from tests.parts.fuzzing.answers import FUZZED
from tests.parts.fuzzing.engine import PHASES, FuzzResult, fuzz
from tests.parts.fuzzing.programs import (
    PLATFORM_METHODS,
    azurite_store,
    embedded_app,
    fuzzed_program,
    sqlite_store,
    worker_app,
)

STORES = ("sqlite", "azurite", "worker")


def fuzz_store(store: str, examples: int, seed: int | None) -> FuzzResult:
    """Open the program on this store, and fuzz its API."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scheduler-fuzz-")))
        if store == "sqlite":
            app = stack.enter_context(fuzzed_program(embedded_app(folder, sqlite_store(folder))))
            return fuzz(app, examples=examples, seed=seed)
        azurite = stack.enter_context(running_azurite())
        if store == "azurite":
            app = stack.enter_context(fuzzed_program(embedded_app(folder, azurite_store(azurite))))
            return fuzz(app, examples=examples, seed=seed)
        app = stack.enter_context(fuzzed_program(worker_app(folder, azurite)))
        return fuzz(
            app, examples=examples, seed=seed, headers={"x-functions-key": MASTER_KEY}, methods=PLATFORM_METHODS
        )


def fuzz_answers(count: int, first_seed: int) -> int:
    """Let each peer send so many hostile answers, and print what they cost. Return the number of problems."""
    rows, problems = [], []
    for fuzz_peer in FUZZED.values():
        found = asyncio.run(fuzz_peer(range(first_seed, first_seed + count)))
        cost = (found.bytes // 1024, found.seconds, round(found.memory / 1024**2))
        rows.append([found.peer, found.answers, found.accepted, *cost, len(found.problems)])
        problems += found.problems
    show(["peer", "answers", "accepted", "most KiB", "most s", "peak MiB", "problems"], rows)
    print(*problems, sep="\n")
    return len(problems)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=STORES, action="append", help="default: sqlite and azurite")
    parser.add_argument("--examples", type=int, default=300, help=f"for each operation, in {', '.join(PHASES)}")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--answers", type=int, help="hostile answers of each peer, instead of requests to the API")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if options.answers:
        return 1 if fuzz_answers(options.answers, options.seed or 0) else 0
    failures = 0
    for store in options.store or STORES[:2]:
        started = time.monotonic()
        found = fuzz_store(store, options.examples, options.seed)
        statuses: Counter[int] = Counter()
        for (_, status), count in found.statuses.items():
            statuses[int(status)] += count
        print(f"{store}: {found}", f"statuses: {dict(sorted(statuses.items()))}", sep="\n")
        print(f"{time.monotonic() - started:.0f} s", flush=True)
        failures += len(found.failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
