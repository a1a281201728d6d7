"""What others see of the processes: who executes which run, and what ends are announced. Some of it must not be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs.runs import Outcome
from scheduler.catalog.catalog import Catalog
from tests.simulation.process import Process, World


@dataclass
class Outside:
    """By run id. `alone`: every run is in one process, so that also runs that are left out know of each other."""

    world: World
    catalog: Catalog
    alone: bool = False
    executions: Counter[str] = field(default_factory=Counter)
    told: dict[str, list[Outcome]] = field(default_factory=dict)
    latest: dict[str, Process] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    """Runs of which the target has received a request."""
    requesting: dict[str, Process] = field(default_factory=dict)
    """Who asks the targets of runs at present."""
    together: defaultdict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """Those runs by job, and by `group ` and the concurrency group, in the order in which they began."""

    def begin(self, run_id: str, job: str, process: Process) -> None:
        self.executions[run_id] += 1
        if (other := self._asks(run_id)) is not None:
            self._violated(f"run {run_id} goes on in {other.name} and begins in {process.name}")
        if run_id in self.sent and self.catalog.get_job(job).job.effect == "once":
            self._violated(f"run {run_id} begins again, and its effect is to happen once")
        self.latest[run_id] = process

    def send_request(self, run_id: str, job: str, process: Process) -> None:
        other = self.latest[run_id]
        if other is not process and other.alive:
            self._violated(f"run {run_id} goes on in {process.name} though {other.name} has begun it")
        if self.requesting.get(run_id) is process:
            self._violated(f"run {run_id} goes on twice in {process.name}")
        self.sent.add(run_id)
        self.requesting[run_id] = process
        for shared in self._shared_by(job):
            self.together[shared][run_id] = None
        self._look_for_too_many(run_id, job)

    def answered(self, run_id: str, job: str, process: Process) -> None:
        if self.requesting.get(run_id) is process:
            del self.requesting[run_id]
            for shared in self._shared_by(job):
                del self.together[shared][run_id]

    def forget(self, run_id: str) -> None:
        """It was judged."""
        del self.executions[run_id]
        self.told.pop(run_id, None)
        self.latest.pop(run_id, None)
        self.sent.discard(run_id)

    def _asks(self, run_id: str) -> Process | None:
        """The process that asks the run's target; None also if it died, or stands still: nobody can know of that."""
        process = self.requesting.get(run_id)
        return process if process is not None and process.alive and process.frozen is None else None

    def _shared_by(self, job: str) -> Sequence[str]:
        group = self.catalog.get_job(job).job.concurrency_group
        return (job,) if group is None else (job, f"group {group.name}")

    def _look_for_too_many(self, run_id: str, job: str) -> None:
        """At once in living processes: of a job whose runs take turns, and of a concurrency group."""
        definition = self.catalog.get_job(job).job
        taking_turns = definition.overlap != "allow" and (self.alone or definition.overlap != "skip")
        if taking_turns and (others := [other for other in self._running(job) if other != run_id]):
            self._violated(f"run {run_id} goes on together with {others[0]} (overlap: {definition.overlap})")
        group = definition.concurrency_group
        if group is not None and len(members := self._running(f"group {group.name}")) > group.limit:
            self._violated(f"{len(members)} runs of group {group.name} go on: {', '.join(members)}")

    def _running(self, shared: str) -> Sequence[str]:
        return [run_id for run_id in self.together[shared] if self._asks(run_id)]

    def _violated(self, sentence: str) -> None:
        self.world.violations.append(sentence)
