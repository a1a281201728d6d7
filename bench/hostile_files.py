"""Are hostile job files refused or harmless? Validates 10,000 generated ones, and some hundred by the real commands.

    ./dev bench hostile-files                       # 10,000 files, some ten to twenty minutes
    ./dev bench hostile-files --files 500 --from 0  # those of seeds 0 to 499
    ./dev bench hostile-files --seed 57             # one, written to stdout

Each goes through what `validate` calls, in one process: at most 2 s of CPU time, 200 MiB for the whole process, exit
code 0 or 2, never a traceback or a raw control character. A sample goes through `validate`, `next`, `jobs` and
`explain` as separate processes. Exits with 1 if a file did more. On a busy machine CPU time is longer, too:
`--slack 2` allows twice of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench._parts import ROOT, percentile, show
from tests.parts.hostile.files import hostile_file
from tests.parts.hostile.runner import MAX_CPU_SECONDS, HostileResult, make_fixtures, run_hostile_files

COMMANDS = (["validate", "{file}"], ["next", "j0"], ["jobs"], ["explain", "j0"])
"""Of these only the first takes a file; the others read the configured folder."""
_HANGS_AFTER = 60


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--files", type=int, default=10_000, help="how many (default: %(default)s)")
    options.add_argument("--from", dest="first", type=int, default=0, help="the first seed (default: %(default)s)")
    options.add_argument("--commands", type=int, default=100, help="how many by the real commands, too")
    options.add_argument("--slack", type=float, default=1.0, help="allow so many times the CPU time")
    options.add_argument("--seed", type=int, help="write this file to stdout and do nothing else")
    chosen = options.parse_args()
    if chosen.seed is not None:
        sys.stdout.buffer.write(hostile_file(chosen.seed).content)
        return
    results, wrong = [], 0
    for result in run_hostile_files(range(chosen.first, chosen.first + chosen.files)):
        results.append(result)
        if result.problem and not _within(result, chosen.slack):
            wrong += 1
            print(f"seed {result.seed} ({result.kind}, {result.size} bytes): {result.problem}", flush=True)
        if len(results) % 1000 == 0:
            print(f"{len(results)} files", file=sys.stderr)
    _show(results)
    step = max(1, chosen.files // max(chosen.commands, 1))
    for problem in _by_commands(range(chosen.first, chosen.first + chosen.files, step)):
        wrong += 1
        print(problem, flush=True)
    sys.exit(1 if wrong else 0)


def _within(result: HostileResult, slack: float) -> bool:
    """Whether only the CPU time is more than allowed, and within the slack."""
    return MAX_CPU_SECONDS < result.cpu_seconds <= MAX_CPU_SECONDS * slack and not result.error


def _show(results: list[HostileResult]) -> None:
    rows = []
    for kind, count in sorted(Counter(result.kind for result in results).items()):
        of_kind = [result for result in results if result.kind == kind]
        times = [result.cpu_seconds * 1000 for result in of_kind]
        rows.append(
            [
                kind,
                count,
                sum(result.exit_code == 0 for result in of_kind),
                round(percentile(times, 0.5), 1),
                round(max(times)),
                round(max(result.mib for result in of_kind)),
            ]
        )
    show(["kind", "files", "valid", "cpu_p50_ms", "cpu_max_ms", "most_mib"], rows)


def _by_commands(seeds: range) -> Iterator[str]:
    """Run the commands over each of these files, and yield what is wrong."""
    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_fixtures(folder)
            file = hostile_file(seed)
            path = folder / "jobs" / file.name
            path.write_bytes(file.content.replace(b"{folder}", os.fsencode(folder)))
            for command in COMMANDS:
                if problem := _run([word.format(file=path) for word in command], folder):
                    yield f"seed {seed}, {' '.join(command)}: {problem}"


def _run(arguments: list[str], folder: Path) -> str:
    """Why this command did not end as it should; empty if it did."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
    settings = {"SCHEDULER_JOBS": str(folder / "jobs"), "SCHEDULER_STORE": f"sqlite:///{folder}/bench.db"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "scheduler", *arguments],
            cwd=ROOT,
            env={**environ, **settings, "SCHEDULER_ENVIRONMENT": "dev"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_HANGS_AFTER,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {_HANGS_AFTER} s"
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    if "Traceback" in text or done.returncode not in (0, 1, 2):
        return f"exit code {done.returncode}: {text[-1500:]}"
    raw = next((c for c in text if not (c.isprintable() or c in "\n\t")), None)
    return "" if raw is None else f"prints U+{ord(raw):04X} raw"


if __name__ == "__main__":
    main()
