"""CPU of each stage of a run next to its budget, from samples of one process, and of a bare httpx request.

A timer of CPU time interrupts the program each millisecond; a sample counts for the innermost function that belongs to
a stage. `--full` lists the functions with the most samples.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

from bench._parts import ROOT, cpu_seconds, finish, get_json, program, show, target
from bench.run_cost import EVERY, bare_requests, sleep_until_between

SAMPLE_S: Final = 0.001
RESULT: Final = "BENCH_SAMPLES"
"""Environment variable of the measured process: the file for its samples."""

STAGES: Final[dict[str, tuple[float, str]]] = {
    "plan": (10, r"scheduler/planning/|scheduler/hosts/embedded/ticker|jobs/schedules/"),
    "claim": (20, r"scheduler/worker/(batches|claims|worker|skipping)|scheduler/stores/runs/(claiming|keys|codec)"),
    "admit": (15, r"scheduler/worker/(execution|place|cancellation)|scheduler/gates/|scheduler/catalog/"),
    "connect": (50, r"jobs/checks/(net|guard|body_memory)|asyncio/(selector_events|sslproto|base_events.*connect)"),
    "request": (45, r"jobs/checks/|scheduler/processes/"),
    "judge": (15, r"jobs/(judging|expectations|redaction|responses)"),
    "attempt": (20, r"jobs/(running|runs)/"),
    "record": (25, r"scheduler/worker/recorder|scheduler/stores/(?!changes|counts|rollups|alerting)"),
    "count": (10, r"scheduler/stores/rollups|scheduler/worker/publishing"),
    "state": (10, r"scheduler/changes/|scheduler/stores/changes"),
    "alert": (5, r"scheduler/alerting/|jobs/(alerting|incidents|notifications)/|scheduler/stores/alerting"),
    "log": (15, r"observability/logs|logging/"),
    "publish": (5, r"observability/"),
    "loop": (30, r"asyncio/|selectors|signal"),
    "other": (0, ""),
}
"""The budget in microseconds a run, and the files of each stage, tried in this order."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=1000)
    options.add_argument("--seconds", type=int, default=30)
    options.add_argument("--full", type=int, default=0, metavar="N", help="list the N functions with the most samples")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        serve_sampled(Path(os.environ[RESULT]))
        return
    with target() as url:
        bare_us = bare_requests(url, chosen.jobs) * 1e6
        run_us, samples = _sample_runs(url, chosen.jobs, chosen.seconds)
    _report(run_us, bare_us, samples, chosen.full)


def _sample_runs(url: str, count: int, seconds: int) -> tuple[float, Counter[str]]:
    """Return the CPU of a run in microseconds, and the samples by function as `path:line name`."""
    jobs = {
        f"cost-{number}": {"schedule": {"every": f"{EVERY}s"}, "check": {"kind": "http", "url": f"{url}/cost"}}
        for number in range(count)
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "samples.json"
        command = [sys.executable, "-m", "bench.stages", "--serve"]
        with program(Path(folder), jobs, command=command, **{RESULT: str(file)}) as (process, _):
            sleep_until_between()
            process.send_signal(signal.SIGUSR2)
            cpu, runs = cpu_seconds(process.pid), len(get_json(f"{url}/arrivals").get("/cost", []))
            time.sleep(seconds)
            process.send_signal(signal.SIGUSR2)
            cpu, runs = cpu_seconds(process.pid) - cpu, len(get_json(f"{url}/arrivals")["/cost"]) - runs
            time.sleep(1)
        return cpu / runs * 1e6, Counter(json.loads(file.read_text()))


def serve_sampled(file: Path) -> None:
    """Serve as `python -m scheduler serve`; SIGUSR2 starts the samples, the next one writes them."""
    from scheduler.cli.main import main as run_command

    samples: Counter[str] = Counter()

    def take_sample(number: int, frame: FrameType | None) -> None:
        names: list[str] = []
        while frame is not None and len(names) < 40:
            names.append(f"{frame.f_code.co_filename}:{frame.f_code.co_firstlineno} {frame.f_code.co_name}")
            frame = frame.f_back
        samples["\n".join(names)] += 1

    def switch(number: int, frame: FrameType | None) -> None:
        if signal.getitimer(signal.ITIMER_PROF)[1]:
            signal.setitimer(signal.ITIMER_PROF, 0)
            file.write_text(json.dumps(samples))
        else:
            samples.clear()
            signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)

    signal.signal(signal.SIGPROF, take_sample)
    signal.signal(signal.SIGUSR2, switch)
    sys.argv = ["scheduler/__main__.py", "serve"]
    sys.exit(run_command())


def find_stage(stack: str) -> tuple[str, str]:
    """Return the stage of a sample, and its innermost function that belongs to it."""
    for name in stack.split("\n"):
        short = name.replace(f"{ROOT}/", "").rpartition("/lib/python")[2]
        for stage, (_, pattern) in STAGES.items():
            if pattern and stage != "loop" and re.search(pattern, short):
                return stage, short
    innermost = stack.partition("\n")[0]
    return ("loop" if re.search(STAGES["loop"][1], innermost) else "other"), innermost.rpartition("/lib/python")[2]


def _report(run_us: float, bare_us: float, samples: Counter[str], full: int) -> None:
    total = samples.total()
    by_stage: Counter[str] = Counter()
    by_function: Counter[str] = Counter()
    for stack, number in samples.items():
        stage, function = find_stage(stack)
        by_stage[stage] += number
        by_function[f"{stage}: {function}"] += number
    rows = []
    for stage, (budget, _) in STAGES.items():
        used = by_stage[stage] / total * run_us
        rows.append((stage, used, budget, "over" if used > budget and budget else ""))
    rows.append(("whole run", run_us, sum(budget for budget, _ in STAGES.values()), ""))
    show(("CPU of a run, us", "used", "budget", ""), rows)
    if full:
        show(
            ("function", "us a run"),
            [(function, number / total * run_us) for function, number in by_function.most_common(full)],
        )
    finish(stages_run_us=run_us, stages_ratio=run_us / bare_us)


if __name__ == "__main__":
    main()
