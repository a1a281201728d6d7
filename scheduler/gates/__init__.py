"""Gates: conditions that let a ticket run, wait or be skipped, each with a reason. The worker checks them in order.

A gate is a module here and a line in `gates_in_order`.
"""

from __future__ import annotations

from jobs.ports import Clock
from scheduler.gates.gates import (
    DefinitionGate,
    DependencyGate,
    Gate,
    Gates,
    GateVerdict,
    PauseGate,
    Skip,
    Wait,
    Wakeups,
)
from scheduler.gates.overlap import CancelLocalRun, OverlapGate
from scheduler.gates.remote_runs import RemoteRuns
from scheduler.gates.slots import SlotGate, SlotLeases, concurrency_slot_group, global_slot_group
from scheduler.stores.gates import Pauses
from scheduler.stores.runs.repository import Runs

__all__ = ["Gate", "GateVerdict", "Gates", "RemoteRuns", "Skip", "SlotLeases", "Wait", "gates_in_order"]


def gates_in_order(
    *,
    clock: Clock,
    pauses: Pauses,
    runs: Runs,
    cancel_local: CancelLocalRun,
    slots: SlotLeases,
    remote: RemoteRuns | None = None,
    max_running: int | None = None,
) -> Gates:
    """Return all gates, the cheapest first, so that a skipped ticket holds nothing.

    `cancel_local` cancels a run of this process. `remote` None: no other process executes runs. `max_running`:
    number of runs in-flight at most in all processes; None: no limit.
    """
    calls = Wakeups(clock)
    gates: list[Gate] = [
        DefinitionGate(),
        PauseGate(pauses, clock),
        OverlapGate(clock, calls, cancel_local, remote),
        DependencyGate(runs, clock),
        SlotGate(slots, clock, calls, concurrency_slot_group),
    ]
    if max_running is not None:
        gates.append(SlotGate(slots, clock, calls, global_slot_group(max_running)))
    return Gates(gates, clock, calls)
