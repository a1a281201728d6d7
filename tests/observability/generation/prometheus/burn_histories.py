"""Random histories of an objective of one or more jobs, what our evaluator makes of them, and their test for promtool.

Used by test_burn_rules. Time is a grid: at each step a run is due and ends, then the tick judges, and Prometheus
scrapes and evaluates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.definition.job import SelectedObjective
from jobs.definition.job_alerts import OBJECTIVES_PART, name_burn_rule
from jobs.formats import format_duration
from jobs.incidents.suppression.windows import MaintenanceWindow
from jobs.objectives import BurnPair, list_possible_pairs
from jobs.runs import Ticket
from observability.generation.prometheus import BURN_ALERT, BurnObjective, make_burn_group
from scheduler.stores.runs.repository import Runs
from tests.scheduler.alerting.evaluation.evaluator_world import MINUTE, START, EvaluatorWorld, run_of
from tests.scheduler.fakes import entry

JOB = "checkout"
STEPS = ((1, 30), (2, 30), (5, 30))
"""Minutes between two runs, and the number of steps of a short history."""


@dataclass(frozen=True, slots=True)
class BurnHistory:
    """`letters`: one a step, see evaluator_world; a blank is no run. `excluded`: steps whose runs do not count.

    `others`: of the further jobs, if the objective is one over a selector.
    """

    step: int
    letters: str
    objective: BurnObjective
    excluded: range
    others: tuple[str, ...] = ()

    @property
    def pairs(self) -> Sequence[BurnPair]:
        return list_possible_pairs(self.objective.target)

    @property
    def counters(self) -> tuple[list[int], list[int]]:
        """The valid and the bad runs at each step."""
        valid, bad = [0], [0]
        for number, letters in enumerate(zip(self.letters[1:], *(each[1:] for each in self.others), strict=True), 1):
            counted = [letter for letter in letters if letter in "SDFR" and number not in self.excluded]
            valid.append(valid[-1] + len(counted))
            bad.append(bad[-1] + sum(letter in "FR" for letter in counted))
        return valid, bad


def make_history(seed: int, length: float = 1.0, jobs: int = 1) -> BurnHistory:
    """`length`: times the number of steps of STEPS."""
    random = Random(seed)
    step, steps = STEPS[seed % len(STEPS)]
    letters = _make_letters(random, steps * length)
    begin = random.randrange(len(letters))
    excluded = range(begin, begin + random.choice([0, 0, 20]))
    objective = BurnObjective(JOB, random.choice([95.0, 99.0, 99.5, 99.9]), random.choice([1, 2, 2, 4]))
    others = tuple(_make_letters(random, len(letters))[: len(letters)] for _ in range(jobs - 1))
    return BurnHistory(step, letters, objective, excluded, others)


def _make_letters(random: Random, steps: float) -> str:
    letters = [" "]
    while len(letters) < steps:
        weights = random.choice([_GOOD, _GOOD, _FLAKY, _DOWN, _SKIPPED])
        duration = random.choice([3, 10, 40, 200]) if weights is _GOOD else random.choice([1, 2, 5, 20, 60])
        letters += random.choices("SDFR- ", weights, k=duration)
    return "".join(letters)


_GOOD, _FLAKY, _DOWN, _SKIPPED = (96, 2, 0, 0, 1, 1), (80, 0, 15, 1, 2, 2), (5, 0, 80, 10, 3, 2), (10, 0, 1, 0, 20, 20)


async def find_firing(history: BurnHistory) -> Mapping[str, list[bool]]:
    """Return by rule whether its alert fires after each step."""
    letters_by_job, world = _create_world(history)
    runs = Runs(world.process.store)
    found: dict[str, list[bool]] = {name_burn_rule(pair): [] for pair in history.pairs}
    for number in range(len(history.letters)):
        minute = number * history.step
        for job, letters in letters_by_job.items():
            if letters[number] != " ":
                ticket = Ticket.scheduled(job, START + minute * MINUTE, "abcdef123456")
                run = replace(run_of(job, minute, letters[number], finished_at=ticket.due_at), id=ticket.id)
                await runs.insert_finished(ticket, run)
                await world.finish(run)
        world.clock.move((START + minute * MINUTE - world.clock.now()).total_seconds())
        await world.tick()
        for name, states in found.items():
            states.append(world.alert(JOB, name).is_firing)
    return found


def _create_world(history: BurnHistory) -> tuple[Mapping[str, str], EvaluatorWorld]:
    """Return the letters by job, and the world: of one job with `slo`, or of jobs and an objective over them."""
    alerts = {"minimum_bad_runs": history.objective.minimum_bad_runs}
    slo = {"target": history.objective.target, "alerts": alerts}
    parts, schedule = _define_windows(history), f"every {history.step}m"
    if not history.others:
        world = EvaluatorWorld(entry(JOB, schedule, alerts=[], slo=slo), alerting=define_alerting(parts))
        return {JOB: history.letters}, world
    objective = SelectedObjective.model_validate({**slo, "select": {"jobs": [f"{JOB}-*"]}})
    parts[OBJECTIVES_PART] = (DefinedEntry(JOB, objective),)
    letters = {f"{JOB}-{number}": each for number, each in enumerate((history.letters, *history.others))}
    jobs = [entry(name, schedule, alerts=[]) for name in letters]
    return letters, EvaluatorWorld(*jobs, alerting=define_alerting(parts))


def _define_windows(history: BurnHistory) -> dict[str, tuple[DefinedEntry, ...]]:
    if not history.excluded:
        return {}
    begin, end = (START + each * history.step * MINUTE for each in (history.excluded.start, history.excluded.stop))
    period = {"from": begin.isoformat(), "until": end.isoformat()}
    window = MaintenanceWindow.model_validate({"name": "w", "select": {"all": True}, "counts": False, **period})
    return {"windows": (DefinedEntry("", window),)}


def write_promtool_test(
    folder: Path, history: BurnHistory, firing: Mapping[str, list[bool]], tolerance: int = 1
) -> Path:
    """Write rules and a test that counts the steps at which the alerts differ from these.

    `tolerance`: steps around each change that are not compared. A rule compares them at each step.
    """
    group = make_burn_group([history.objective])
    group["rules"] += [_compare(pair) for pair in history.pairs]
    (folder / "rules.yaml").write_text(json.dumps({"groups": [group]}), encoding="utf-8")
    interval = format_duration(timedelta(minutes=history.step).total_seconds())
    end = (len(history.letters) - 1) * history.step
    test = {
        "interval": interval,
        "input_series": [
            *_list_counters(history),
            *(_expect(pair, firing[name_burn_rule(pair)], tolerance) for pair in history.pairs),
        ],
        "promql_expr_test": [
            {
                "expr": "sum(count_over_time(difference[60d])) or vector(0)",
                "eval_time": f"{end}m",
                "exp_samples": [{"labels": "{}", "value": 0}],
            },
        ],
    }
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": interval, "tests": [test]}
    path = folder / "test.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _list_counters(history: BurnHistory) -> list[dict[str, str]]:
    labels = f'{{slo="{JOB}", job_name="{"" if history.others else JOB}"}}'
    return [
        {"series": f"scheduler_slo_{name}_runs_total{labels}", "values": " ".join(map(str, values))}
        for name, values in zip(("valid", "bad"), history.counters, strict=True)
    ]


def _expect(pair: BurnPair, states: Sequence[bool], tolerance: int) -> dict[str, str]:
    """Return a series: 1 where the alert is expected, 0 where not, 2 where both are right."""
    near = (set(states[max(at - tolerance, 0) : at + tolerance + 1]) for at in range(len(states)))
    values = " ".join("2" if len(each) > 1 else str(int(each.pop())) for each in near)
    return {"series": f'expected{{long_window="{_window_of(pair)}"}}', "values": values}


def _compare(pair: BurnPair) -> dict[str, str]:
    window = f'long_window="{_window_of(pair)}"'
    fires = f'count by (long_window) (ALERTS{{alertname="{BURN_ALERT}", alertstate="firing", {window}}})'
    expected = f"expected{{{window}}}"
    return {
        "record": "difference",
        "expr": f"({expected} == 1 unless on (long_window) {fires}) or ({expected} == 0 and on (long_window) {fires})",
    }


def _window_of(pair: BurnPair) -> str:
    return format_duration(pair.long.total_seconds())
