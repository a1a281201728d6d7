"""Gates: what may keep a claimed ticket from running, each with its reason. Asked by the worker in order.

A gate is a file here and a line in `gates_in_order`.
"""

from __future__ import annotations

from jobs.ports import Clock
from scheduler.gates.calls import Calls
from scheduler.gates.definition import DefinitionGate
from scheduler.gates.dependencies import DependencyGate
from scheduler.gates.elsewhere import Elsewhere
from scheduler.gates.gates import Gates
from scheduler.gates.held_slots import HeldSlots
from scheduler.gates.overlap import CancelHere, OverlapGate
from scheduler.gates.pausing import PauseGate
from scheduler.gates.port import Gate, Skip, Verdict, Wait
from scheduler.gates.slots import SlotGate, group_room, room_of_all
from scheduler.stores.pauses import Pauses
from scheduler.stores.runs import Runs

__all__ = ["Elsewhere", "Gate", "Gates", "HeldSlots", "Skip", "Verdict", "Wait", "gates_in_order"]


def gates_in_order(
    *,
    clock: Clock,
    pauses: Pauses,
    runs: Runs,
    cancel: CancelHere,
    slots: HeldSlots,
    elsewhere: Elsewhere | None = None,
    max_running: int | None = None,
) -> Gates:
    """Those that cost least first: a ticket that is left out anyway holds nothing up.

    `cancel` ends a run of this process; `elsewhere` is None if no other process performs runs; `max_running`: how many
    may go on at a time in all processes.
    """
    calls = Calls(clock)
    gates: list[Gate] = [
        DefinitionGate(),
        PauseGate(pauses, clock),
        OverlapGate(clock, calls, cancel, elsewhere),
        DependencyGate(runs, clock),
        SlotGate(slots, clock, calls, group_room),
        SlotGate(slots, clock, calls, room_of_all(max_running)),
    ]
    return Gates(gates, clock, calls)
