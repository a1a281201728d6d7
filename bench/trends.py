"""Changes of the level of response times that are found in seeded histories of four weeks.

Each history has the shape of a day and a week, noise that lasts for hours, single slow hours, gaps, perhaps a planted
change, a slow drift, or summer time in the middle. Printed are the changes of at least 30 % that were found within an
hour of the planted instant, and what was found where nothing was planted.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from bench._parts import finish, show
from jobs.runs.histogram import Histogram
from jobs.schedules.time_zones import load_time_zone
from jobs.trends import find_level_changes

START, HOURS = datetime(2026, 3, 10, tzinfo=UTC), 28 * 24
"""In Berlin, summer time began on 29 March."""
BERLIN = load_time_zone("Europe/Berlin").info
KINDS = ("change", "change", "change", "nothing", "drift", "outliers")
FACTORS = (1.1, 1.2, 1.3, 1.5, 2.0)
BY_CHANCE = timedelta(hours=24)
"""A change that is found farther from the planted one is a false one."""


@dataclass(frozen=True)
class PlantedHistory:
    """`factor`: of the level from `at` on; 1 without a change."""

    kind: str
    factor: float
    at: datetime
    hours: Mapping[datetime, Sequence[int]]

    @property
    def is_large(self) -> bool:
        return max(self.factor, 1 / self.factor) >= 1.299


def make_history(seed: int) -> PlantedHistory:
    random = Random(seed)
    kind, place = random.choice(KINDS), random.randrange(24, HOURS - 24)
    factor = random.choice(FACTORS) ** random.choice([1, 1, -1]) if kind == "change" else 1.0
    level = math.log(random.choice([20, 80, 200, 600, 2000]))
    daily, weekly = random.choice([0.0, 0.1, 0.3, 0.6]), random.choice([0.0, 0.1, 0.3])
    noise, scatter, runs = random.choice([0.02, 0.05, 0.1]), random.choice([0.2, 0.4, 0.6]), random.choice([12, 60])
    drift = math.log(random.choice([1.3, 1.6, 2])) if kind == "drift" else 0.0
    slow_share = 0.03 if kind == "outliers" else 0.01
    gap_at, gap = random.randrange(HOURS), random.randrange(60) if random.random() < 0.3 else 0
    hours, wander = {}, 0.0
    for number in range(HOURS):
        begin = START + timedelta(hours=number)
        local = begin.astimezone(BERLIN)
        wander = 0.6 * wander + random.gauss(0, noise)
        now = level + daily * math.sin(local.hour * math.pi / 12) + wander + drift * number / HOURS
        now += weekly * (local.weekday() < 5) + math.log(factor) * (number >= place)
        now += random.choice([1, 2, 3]) if random.random() < slow_share else 0
        if not gap_at <= number < gap_at + gap:
            histogram = Histogram()
            for _ in range(runs):
                histogram.add(math.exp(now + random.gauss(0, scatter)))
            hours[begin] = histogram.encode()
    return PlantedHistory(kind, factor, START + timedelta(hours=place), hours)


@dataclass
class Found:
    large: int = 0
    near: int = 0
    false: int = 0
    histories: int = 0


def evaluate(seeds: Sequence[int]) -> Found:
    """Return how many large changes were found within an hour, and how many others."""
    found = Found(histories=len(seeds))
    for seed in seeds:
        history = make_history(seed)
        distances = [abs(each.at - history.at) for each in find_level_changes(history.hours, BERLIN)]
        found.large += history.is_large
        found.near += history.is_large and any(each <= timedelta(hours=1) for each in distances)
        found.false += sum(history.factor == 1 or each > BY_CHANCE for each in distances)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--histories", type=int, default=200)
    chosen = options.parse_args()
    began = time.process_time()
    found = evaluate(range(chosen.histories))
    cpu = (time.process_time() - began) / chosen.histories
    show(
        ("histories", "changes of 30 %", "within an hour", "false ones", "CPU ms each"),
        [(found.histories, found.large, found.near, found.false, cpu * 1000)],
    )
    finish(near_share=found.near / max(found.large, 1), false_per_ten=10 * found.false / found.histories)


if __name__ == "__main__":
    main()
