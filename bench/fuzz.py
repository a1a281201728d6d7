"""Fuzz the API with Schemathesis, 300 examples an operation: on SQLite, on Azurite and in Microsoft's worker.

`--store` selects one of them. The worker needs Python 3.13: run `.venv-worker/bin/python -m bench.fuzz --store worker`.
A failed check is printed with a curl command; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.parts.azurite import running_azurite
from tests.parts.functions_host import MASTER_KEY
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=STORES, action="append", help="default: sqlite and azurite")
    parser.add_argument("--examples", type=int, default=300, help=f"for each operation, in {', '.join(PHASES)}")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
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
