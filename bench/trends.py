"""Changes of the level of response times and success rates that are found in seeded histories of four weeks.

Each history of times has the shape of a day and a week, noise that lasts for hours, single slow hours, gaps, perhaps a
planted change, a slow drift, or summer time in the middle. Each one of success rates has outages, perhaps an hour of a
day in which runs fail, and perhaps a change. Printed are the changes of at least 30 %, or of 5 points, that were found
within an hour of the planted instant (of success rates: within a day), and what was found where nothing was planted.
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
from jobs.trends import FAILED_SHARES, find_level_changes, level_of_times

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
    def levels(self) -> Mapping[datetime, float]:
        levels = {begin: level_of_times(stored) for begin, stored in self.hours.items()}
        return {begin: level for begin, level in levels.items() if level is not None}

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


@dataclass(frozen=True)
class PlantedShares:
    """`before`, `after`: the shares of failed runs, equal without a change. `shares`: what came of it, by the hour."""

    before: float
    after: float
    at: datetime
    shares: Mapping[datetime, float]


def make_shares(seed: int) -> PlantedShares:
    random = Random(seed)
    place, runs = random.randrange(24, HOURS - 24), random.choice([12, 60])
    before = random.choice([0.0, 0.0, 0.002, 0.01, 0.05])
    after = before + random.choice([0.0, 0.0, 0.05, 0.1, 0.3])
    if random.random() < 0.3:
        before, after = after, before
    nightly, outages = random.choice([0.0, 0.0, 0.3]), [random.randrange(HOURS) for _ in range(random.randrange(4))]
    down = {hour for begin in outages for hour in range(begin, begin + random.choice([1, 2, 8]))}
    shares = {}
    for number in range(HOURS):
        begin = START + timedelta(hours=number)
        share = after if number >= place else before
        share = 1.0 if number in down else max(share, nightly * (begin.astimezone(BERLIN).hour == 3))
        shares[begin] = sum(random.random() < share for _ in range(runs)) / runs
    return PlantedShares(before, after, START + timedelta(hours=place), shares)


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
        distances = [abs(each.at - history.at) for each in find_level_changes(history.levels, BERLIN)]
        found.large += history.is_large
        found.near += history.is_large and any(each <= timedelta(hours=1) for each in distances)
        found.false += sum(history.factor == 1 or each > BY_CHANCE for each in distances)
    return found


def evaluate_shares(seeds: Sequence[int]) -> Found:
    """Return how many changes of the success rate were found within a day, and how many others."""
    found = Found(histories=len(seeds))
    for seed in seeds:
        planted = make_shares(seed)
        changes = find_level_changes(planted.shares, BERLIN, FAILED_SHARES)
        distances = [abs(each.at - planted.at) for each in changes]
        found.large += planted.before != planted.after
        found.near += planted.before != planted.after and any(each <= BY_CHANCE for each in distances)
        found.false += sum(planted.before == planted.after or each > BY_CHANCE for each in distances)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--histories", type=int, default=200)
    seeds = range(options.parse_args().histories)
    rows, figures = [], {}
    for name, examine in (("times", evaluate), ("success rates", evaluate_shares)):
        began = time.process_time()
        found = examine(seeds)
        cpu = (time.process_time() - began) / len(seeds)
        rows.append((name, found.histories, found.large, found.near, found.false, cpu * 1000))
        key = name.replace(" ", "_")
        figures[f"{key}_near_share"] = found.near / max(found.large, 1)
        figures[f"{key}_false_per_ten"] = 10 * found.false / found.histories
    show(("of", "histories", "changes", "found near", "false ones", "CPU ms each"), rows)
    finish(**figures)


if __name__ == "__main__":
    main()
