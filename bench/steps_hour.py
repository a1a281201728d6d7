"""An hour of steps jobs with fresh tokens, failing targets and edits, in virtual time: CPU a run and memory stay flat.

    ./dev bench steps-hour                  # 50 runs a second for an hour: 180,000 runs, ten minutes or so of CPU
    ./dev bench steps-hour --minutes 10     # shorter

Prints a line for each window of five minutes of virtual time, then the drift: the slope of a straight line through the
windows after the first one, over the whole time. Exits with 1 if CPU a run drifts by more than 5 % or memory grows by
more than 10 MiB, if a token stands in history or in what is reported, or if the redactor holds more at the end than at
the beginning. Use a machine that does nothing else: another process on the same core moves CPU a run by more than that.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence

from bench._parts import finish, show
from bench._steps_hour import Hour, Window, simulate

MAX_CPU_DRIFT = 0.05
MAX_GROWTH_MIB = 10.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=60.0, help="of virtual time")
    options.add_argument("--rate", type=int, default=50, help="runs each second")
    options.add_argument("--windows", type=int, default=12, help="at least 3")
    chosen = options.parse_args()
    if chosen.windows < 3:
        options.error(f"{chosen.windows} windows give no slope: at least 3")
    seconds = chosen.minutes * 60
    hour = simulate(seconds, seconds / chosen.windows, chosen.rate, _say)
    rows = [(number, w.runs, w.cpu_ms, w.rss_mib, w.held) for number, w in enumerate(hour.windows, 1)]
    show(("window", "runs", "CPU, ms a run", "MiB", "held"), rows)
    problems = [*judged(hour)]
    print(*(problems or ["flat: CPU a run and memory do not depend on how many runs there were"]), sep="\n")
    finish(
        runs=float(hour.outcomes.total()),
        cpu_ms=statistics.median(w.cpu_ms for w in hour.windows),
        cpu_drift=cpu_drift(hour.windows),
        growth_mib=growth(hour.windows),
    )
    sys.exit(1 if problems else 0)


def judged(hour: Hour) -> Iterator[str]:
    """Yield what is not as it should be."""
    drift, mib = cpu_drift(hour.windows), growth(hour.windows)
    if drift > MAX_CPU_DRIFT:
        yield f"CPU a run rose by {drift:.1%} over the whole time, expected at most {MAX_CPU_DRIFT:.0%}"
    if mib > MAX_GROWTH_MIB:
        yield f"memory grew by {mib:.1f} MiB over the whole time, expected at most {MAX_GROWTH_MIB:g}"
    if hour.leaks:
        yield f"{len(hour.leaks)} texts have a token in them, such as {hour.leaks[0]}"
    if hour.windows[-1].held > hour.windows[0].held:
        yield f"the redactor holds {hour.windows[-1].held} values at the end, {hour.windows[0].held} after a window"
    if not hour.outcomes["succeeded"] or not hour.outcomes["failed"]:
        yield f"runs were to succeed and to fail: {dict(hour.outcomes)}"


def cpu_drift(windows: Sequence[Window]) -> float:
    """Return by what share of its mean CPU a run has changed over all windows but the first."""
    costs = [window.cpu_ms for window in windows[1:]]
    return _rise(costs) / statistics.mean(costs)


def growth(windows: Sequence[Window]) -> float:
    """Return by how many MiB memory has changed over all windows but the first, in which it fills its caches."""
    return _rise([window.rss_mib for window in windows[1:]])


def _rise(values: Sequence[float]) -> float:
    """Return the difference between the ends of the straight line that fits best."""
    return statistics.linear_regression(range(len(values)), values).slope * (len(values) - 1)


def _say(window: Window) -> None:
    print(f"{window.runs} runs, {window.cpu_ms:.2f} ms a run, {window.rss_mib:.0f} MiB", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
