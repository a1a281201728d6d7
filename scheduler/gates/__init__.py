"""Gates: what may keep a claimed ticket from running, each with its reason. Asked by the worker in order.

A gate is a file here and a line in `gates_in_order`.
"""

from __future__ import annotations

from jobs.ports import Clock
from scheduler.gates.calls import Calls
from scheduler.gates.definition import DefinitionGate
from scheduler.gates.dependencies import DependencyGate
from scheduler.gates.gates import Gates
from scheduler.gates.overlap import Overlap, OverlapAnywhere, OverlapGate, OverlapHere
from scheduler.gates.pausing import PauseGate
from scheduler.gates.port import Gate, Skip, Verdict, Wait
from scheduler.stores.pauses import Pauses
from scheduler.stores.runs import Runs

__all__ = ["Gate", "Gates", "Overlap", "OverlapAnywhere", "OverlapHere", "Skip", "Verdict", "Wait", "gates_in_order"]


def gates_in_order(*, clock: Clock, pauses: Pauses, overlap: Overlap, runs: Runs) -> Gates:
    """Those that cost least first: a ticket that is left out anyway holds nothing up."""
    calls = Calls(clock)
    gates: list[Gate] = [
        DefinitionGate(),
        PauseGate(pauses, clock),
        OverlapGate(overlap, clock),
        DependencyGate(runs, clock),
    ]
    return Gates(gates, clock, calls)
