"""What a backup costs: a SQLite store with a million runs is backed up, verified and restored.

Each command is a separate process: time, CPU, the size of the files, and the most memory that the process had.
`--runs` makes it shorter; `--azure` restores into Azurite as well, and copies it back.

- `create_s`, `verify_s`, `restore_s`: seconds of each command, as a user waits for it.
- `create_mb`, `verify_mb`, `restore_mb`: the most memory, MiB.
- `file_mb`, `store_mb`: megabytes of the backup and of the SQLite file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench._parts import finish, show
from bench._stats_fill import Fill
from scheduler.stores.sqlite.store import open_sqlite
from tests.parts.azurite import running_azurite

ROOT = Path(__file__).resolve().parents[1]
JOBS = 100
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=1_000_000, help="runs in the store")
    options.add_argument("--azure", action="store_true", help="restore into Azurite, and copy it back")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-backup-") as folder, ExitStack() as stack:
        place = Path(folder)
        asyncio.run(_fill(place / "scheduler.db", chosen.runs))
        dump, store = place / "dump.jsonl.gz", f"sqlite:///{place}"
        commands = {
            "create": ("backup", "create", "--to", str(dump), "--store", f"{store}/scheduler.db"),
            "verify": ("backup", "verify", str(dump)),
            "restore": ("backup", "restore", str(dump), "--store", f"{store}/restored.db"),
        }
        environment: Mapping[str, str] = {}
        if chosen.azure:
            environment = stack.enter_context(running_azurite()).settings("backup")
            commands["azure_restore"] = ("backup", "restore", str(dump))
            commands["azure_move"] = ("store", "move", "--from", "azure", "--to", f"{store}/moved.db")
        used = {name: _measure(arguments, environment) for name, arguments in commands.items()}
        sizes = {"store_mb": _megabytes(place / "scheduler.db"), "file_mb": _megabytes(dump)}
    show(("command", "seconds", "CPU s", "MiB"), [(name, *figures) for name, figures in used.items()])
    show(("runs", *sizes), [(chosen.runs, *sizes.values())])
    finish(
        runs=chosen.runs,
        **sizes,
        **{f"{name}_s": figures[0] for name, figures in used.items()},
        **{f"{name}_mb": figures[2] for name, figures in used.items()},
    )


async def _fill(path: Path, runs: int) -> None:
    store = await open_sqlite(path)
    fill = Fill(store, NOW)
    jobs = [f"job-{number:04d}" for number in range(JOBS)]
    await fill.hours(jobs, number=24)
    await fill.runs(jobs, each=runs // JOBS)
    await store.aclose()


def _measure(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float, float]:
    """Run a command to its end. Return its seconds, those of CPU, and MiB."""
    began_at = time.monotonic()
    child = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    took = time.monotonic() - began_at
    if child.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {child.returncode}")
    usage = json.loads(child.stdout.splitlines()[-1])
    return took, usage["cpu"], usage["memory_kib"] / 1024


_PROGRAM = """
import json, resource, sys
from scheduler.cli.main import main
code = main()
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "memory_kib": used.ru_maxrss}))
sys.exit(code)
"""


def _megabytes(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 1)


if __name__ == "__main__":
    main()
