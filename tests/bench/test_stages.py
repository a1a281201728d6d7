"""The documented budgets of the stages of a run are those that the bench compares with."""

from __future__ import annotations

from bench.stages import STAGES, find_stage
from tests.project import ROOT


def test_the_documented_budgets_are_those_of_the_bench() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("### What a run may cost")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    names, budgets = rows[0], [int(cell) for cell in rows[1]]
    documented = dict(zip(names, budgets, strict=True))
    expected = {("event loop" if name == "loop" else name): budget for name, (budget, _) in STAGES.items() if budget}

    assert documented == {**expected, "sum": sum(expected.values())}


def test_a_sample_belongs_to_the_innermost_function_with_a_stage() -> None:
    stack = "/usr/lib/python3.11/json/encoder.py:1 encode\n/x/lib/python3.11/scheduler/worker/recorder.py:9 record"

    assert find_stage(stack)[0] == "record"


def test_a_sample_of_the_event_loop_alone_belongs_to_no_part_of_a_run() -> None:
    stack = "/usr/lib/python3.11/asyncio/runners.py:1 run\n/x/lib/python3.11/scheduler/hosts/embedded/host.py:9 serve"

    assert find_stage(stack)[0] == "loop"
