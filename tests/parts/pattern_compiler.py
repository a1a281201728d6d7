"""A process that compiles patterns under limits of memory and CPU time, and reports what each cost.

    python -m tests.parts.pattern_compiler MIB

Reads patterns from stdin, one JSON text a line. Answers each with a line: `refused`, or `compiled` and its CPU time in
milliseconds, or the name of an unexpected exception. A pattern that takes more than two seconds ends it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 2


class PatternCompiler:
    """The process, which is started again whenever it has died."""

    def __init__(self, mib: int) -> None:
        """`mib`: how much memory it may take more than it has at its start."""
        self._mib = mib
        self._process: subprocess.Popen[str] | None = None

    def compile(self, pattern: str) -> str:
        """Return the answer; `died` if the process has died."""
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(pattern) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        if not answer:
            self.close()
        return answer or "died"

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.parts.pattern_compiler", str(self._mib)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _limit_memory(mib: int) -> None:
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + mib * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _answer(pattern: str) -> str:
    import signal
    import time

    from jobs.expectations.engines.regular_expressions import InvalidPattern, PatternTooLarge, compile_pattern

    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    started = time.process_time()
    try:
        compile_pattern(pattern)
    except (InvalidPattern, PatternTooLarge) as error:
        return "MemoryError" if "memory" in str(error) else "refused"
    except BaseException as error:
        return type(error).__name__
    return f"compiled {(time.process_time() - started) * 1000:.0f}"


def main() -> None:
    _answer("a+")
    _limit_memory(int(sys.argv[1]))
    for line in sys.stdin:
        print(_answer(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
