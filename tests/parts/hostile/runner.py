"""Validates hostile job files, in a process with limits. See the package.

    results = run_hostile_files(range(1000))       # HostileResult of each, in a separate process

    python -m tests.parts.hostile.runner FIRST LAST FOLDER

The process calls what the command `validate` calls, and prints a JSON line for each file. A file that takes more than a
minute, or more than a gigabyte, ends it; the others are then validated in another one.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
MAX_CPU_SECONDS = 2.0
MAX_MIB = 200
_HANGS_AFTER = 60
_MAX_PROCESS = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HostileResult:
    """What validating a file took. `mib`: the largest the process was, the program itself included."""

    seed: int
    kind: str
    size: int
    exit_code: int = -1
    cpu_seconds: float = 0.0
    mib: float = 0.0
    error: str = ""
    """A traceback, or what else should not be."""

    @property
    def problem(self) -> str:
        """Why this is not harmless; empty if it is."""
        if self.error:
            return self.error
        if self.exit_code not in (0, 2):
            return f"exit code {self.exit_code}"
        if self.cpu_seconds > MAX_CPU_SECONDS:
            return f"{self.cpu_seconds:.1f} s of CPU time"
        return f"{self.mib:.0f} MiB" if self.mib > MAX_MIB else ""


def run_hostile_files(seeds: range) -> Iterator[HostileResult]:
    """Validate the files of these seeds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_fixtures(folder)
        first = seeds.start
        while first < seeds.stop:
            for result in _run(first, seeds.stop, folder):
                yield result
                first = result.seed + 1


def make_fixtures(folder: Path) -> None:
    """Make what the paths in hostile files lead to."""
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "folder").mkdir()
    with (folder / "large").open("wb") as large:
        large.truncate(10 * 1024**3)
    (folder / "jobs").mkdir()


def _run(first: int, stop: int, folder: Path) -> Iterator[HostileResult]:
    """Validate in one process, up to the file that ends it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.parts.hostile.runner", str(first), str(stop), str(folder)],
            cwd=ROOT,
            env={**environ, "SCHEDULER_ENVIRONMENT": "dev", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        seed = first - 1
        try:
            for line in process.stdout:
                result = HostileResult(**json.loads(line))
                seed = result.seed
                yield result
            if seed + 1 < stop:
                process.wait()
                errors.seek(0)
                yield HostileResult(
                    seed + 1, "?", 0, error=f"ended the process ({process.returncode}): {errors.read()}"
                )
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def validate_hostile_file(seed: int, folder: Path) -> HostileResult:
    """Validate the file of this seed as the command does, in this process."""
    import time
    import traceback
    from contextlib import redirect_stderr, redirect_stdout

    import typer

    from scheduler.features.jobs.definition_commands import validate
    from tests.parts.hostile.files import hostile_file

    file = hostile_file(seed)
    path = folder / "jobs" / file.name
    path.write_bytes(file.content.replace(b"{folder}", os.fsencode(folder)))
    out, errors = _Output(seed % 3 == 0), io.StringIO()
    exit_code, error = 0, ""
    _forget_peak()
    started = time.process_time()
    try:
        with redirect_stdout(out), redirect_stderr(errors):
            validate(path.parent if seed % 2 else path, as_json=seed % 5 == 0)
    except typer.Exit as ended:
        exit_code = ended.exit_code
    except BaseException:
        error = traceback.format_exc()
    cpu, mib = time.process_time() - started, _peak_mib()
    path.unlink()
    error = error or _unprintable(out.getvalue() + errors.getvalue())
    return HostileResult(seed, file.kind, len(file.content), exit_code, cpu, mib, error)


def _unprintable(text: str) -> str:
    found = next((c for c in text if not (c.isprintable() or c in "\n\t")), None)
    return "" if found is None else f"prints U+{ord(found):04X} raw"


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class _Output(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def main() -> None:
    import faulthandler
    import resource

    first, stop, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_PROCESS, _MAX_PROCESS))
    results = os.fdopen(os.dup(1), "w")
    for seed in range(first, stop):
        faulthandler.dump_traceback_later(_HANGS_AFTER, exit=True)
        print(json.dumps(asdict(validate_hostile_file(seed, folder))), file=results, flush=True)


if __name__ == "__main__":
    main()
