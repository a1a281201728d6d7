"""Makes a heartbeat of a command that pings an address at its end. Called by mapping."""

from __future__ import annotations

from typing import Any

from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.crontab.pings import CommandPing
from config.importers.sources.crontab.schedules import CronSchedule
from config.importers.sources.crontab.variables import STAYS, CronVariables
from config.importers.values.durations import write_duration
from jobs.targets.heartbeat import SHORTEST_TOKEN

_LONGEST_GRACE, _SHORTEST_GRACE = 3600.0, 60.0
_ADDRESS = "/api/ping/TOKEN of this scheduler"


def put_heartbeat(
    context: ImportContext,
    draft: JobDraft,
    ping: CommandPing,
    entry: SourceNode,
    schedule: CronSchedule | int,
    variables: CronVariables,
) -> None:
    """Set check and alerts, and record what the line has as staying in the crontab."""
    node, schedule_node = entry.child("command"), entry.child("schedule")
    assert node is not None
    assert schedule_node is not None
    draft.put("check.kind", "heartbeat")
    _put_token(context, draft, ping, node, variables)
    value, notes = _read_due_rule(schedule, variables)
    key = "period" if isinstance(schedule, int) else "schedule"
    grace = write_duration(_find_grace(schedule, ping, variables))
    notes.append(f"a ping can be {grace} late")
    draft.put(f"check.{key}", value, schedule_node, how="; ".join(notes))
    draft.put("check.grace", grace)
    draft.put("alerts", [{"open_after": 1}])
    for other in (entry.child("user"), entry.child("input")):
        if other is not None:
            context.use_idle(other, STAYS)
    variables.keep(str(node.value))


def _put_token(
    context: ImportContext, draft: JobDraft, ping: CommandPing, node: SourceNode, variables: CronVariables
) -> None:
    """The token of the old address serves here, unless another job has it or it can be guessed."""
    hint, how = f"{draft.name}-token", ["cron still runs the command"]
    if ping.token and ping.token not in variables.tokens:
        variables.tokens.add(ping.token)
        purpose = f"token of the pings of {draft.name}, as in its address at {ping.host}: pings go to {_ADDRESS} now"
        reference = context.secrets.reference(ping.token, hint, purpose, node)
        how.append(f"replace {ping.host} in the address of its ping: it goes to {_ADDRESS}, with the same token")
    else:
        purpose = f"new token of the pings of {draft.name}, at least {SHORTEST_TOKEN} characters: openssl rand -hex 16"
        reference = context.secrets.require(hint, purpose, node)
        how.append(
            f"replace the address of its ping at {ping.host}: it goes to {_ADDRESS}, with the secret "
            f"{reference['secret']} as TOKEN"
        )
    draft.put("check.token", reference, node, how="; ".join([*how, *ping.notes]))


def _read_due_rule(schedule: CronSchedule | int, variables: CronVariables) -> tuple[Any, list[str]]:
    if isinstance(schedule, int):
        return f"{schedule}s", []
    return schedule.to_value(variables.timezone), schedule.notes(variables.timezone)


def _find_grace(schedule: CronSchedule | int, ping: CommandPing, variables: CronVariables) -> float:
    """Return how late a ping can be, in seconds: as long as the command can take, at most until the next ping."""
    gap = schedule if isinstance(schedule, int) else schedule.shortest_gap
    longest = ping.timeout or min(gap, _LONGEST_GRACE)
    return max(longest, _SHORTEST_GRACE) + variables.delay
