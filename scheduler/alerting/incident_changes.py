"""Changes an incident on behalf of a person, fenced like a pass of the engine.

    changed = await changes.apply(incident, lambda found, now: acknowledge(found, actor, now, note))

The functions of jobs.incidents.actions decide. The caller records the change in the audit trail before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import Incident
from jobs.ports import Clock
from jobs.problems import format_value
from scheduler.alerting.engine_runner import MAX_CONFLICTS, EngineRunner
from scheduler.stores.alerting.engine import EngineMoved, EngineRows
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.port import StoreUnavailable

Action = Callable[[Incident, datetime], IncidentStep]
"""Called with the current incident and the current instant, again if another process has changed it meanwhile."""


class UnknownIncident(LookupError):
    def __init__(self, incident: str) -> None:
        super().__init__(f"there is no incident {format_value(incident)}: list the incidents to find its id")


class IncidentChanges:
    def __init__(self, rows: EngineRows, log: IncidentLog, runner: EngineRunner, clock: Clock) -> None:
        self._rows = rows
        self._log = log
        self._runner = runner
        self._clock = clock

    async def apply(self, incident: str, action: Action) -> Incident:
        """Store what the action makes of the incident, and return it.

        Raises:
            UnknownIncident: it does not exist.
            ActionRefused: of the action, such as for a resolved incident.
            StoreError: it is unknown whether it was changed.
        """
        for _ in range(MAX_CONFLICTS):
            state, now = await self._rows.read(), self._clock.now()
            found = next((each for each in state.incidents if each.id == incident), None)
            found = found or await self._log.find(incident)
            if found is None:
                raise UnknownIncident(incident)
            step = action(found, now)
            try:
                await self._rows.write(state.head, now, [step])
            except EngineMoved:
                continue
            self._runner.report_written([step])
            return step.incident
        raise StoreUnavailable(f"other processes changed the incidents {MAX_CONFLICTS} times meanwhile: try again")
