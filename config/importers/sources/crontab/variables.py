"""Variables of a crontab: which of them jobs need, and what becomes of the others. Called by mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from zoneinfo import available_timezones

from config.importers.errors import UnreadableSource
from config.importers.import_context import ImportContext
from config.importers.node import SourceNode
from config.importers.sources.crontab.requests import read_number
from config.importers.values.durations import write_duration

_USE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_MAIL = "an alert route to a channel of kind email, see docs/alerting.md"

_REASONS: Mapping[str, tuple[str, str]] = {
    "MAILTO": ("output is not sent by mail; failures open alerts", _MAIL),
    "MAILFROM": ("output is not sent by mail; failures open alerts", _MAIL),
    "TZ": ("it sets the time zone of commands, not of schedules", "the option --timezone of import"),
    "SHELL": ("no shell is used: the scheduler sends the requests itself", ""),
    "PATH": ("no program is started: the scheduler sends the requests itself", ""),
    "HOME": ("no program is started: the scheduler sends the requests itself", ""),
    "LOGNAME": ("no program is started: the scheduler sends the requests itself", ""),
    "CONTENT_TYPE": ("output is not sent by mail", _MAIL),
    "CONTENT_TRANSFER_ENCODING": ("output is not sent by mail", _MAIL),
    "BASH_ENV": ("no shell is used: the scheduler sends the requests itself", ""),
}
STAYS = "it stays in the crontab, which still runs the command"
_MAX_DELAY_MINUTES = 1440
MAX_EXPANDED = 2_000_000
"""Characters that the values of variables add to all commands of a file."""


class CronVariables:
    """The variables in force at a line: each one applies to the lines after it.

    `tokens`: of the heartbeats of all files. `has_requests`, `has_heartbeats`: what the lines of this file became.
    """

    def __init__(self, context: ImportContext, tokens: set[str]) -> None:
        self._context = context
        self.tokens = tokens
        self.has_requests = self.has_heartbeats = False
        self._nodes: dict[str, SourceNode] = {}
        self.values: dict[str, str] = dict(context.options.variables)
        self.timezone = context.options.timezone
        self.jitter: str | None = None
        self.delay = 0.0
        """Seconds of RANDOM_DELAY."""
        self._expanded = 0

    def check_size(self, node: SourceNode) -> None:
        """Count the characters of the variables of a command. Raises UnreadableSource: all commands are too long."""
        names = _USE.findall(str(node.value))
        self._expanded += sum(len(self.values.get(name, "")) for name in names)
        if self._expanded > MAX_EXPANDED:
            message = f"its variables add more than {MAX_EXPANDED} characters to its commands"
            raise UnreadableSource(node.tree.file, message, "split it", node.line)

    def define(self, node: SourceNode) -> None:
        """Read one variable. Unless a later line uses it, it is reported with the reason why not."""
        name, value = node.key, str(node.value)
        if name == "CRON_TZ":
            self._set_timezone(node, value)
        elif name == "RANDOM_DELAY":
            self._set_delay(node, value)
        elif name == "MAILTO" and not value:
            self._context.use(node)  # no mail, as here
        else:
            self._nodes[name] = node
            self.values[name] = value

    def use(self, command: str, job: str) -> None:
        """Record the variables that a command uses as part of its job."""
        self.has_requests = True
        for node in self._find(command):
            self._context.use_in(node, job, "its value is written into the job")

    def keep(self, command: str) -> None:
        """Record the variables that a command uses as staying in the crontab, which still runs it."""
        self.has_heartbeats = True
        for node in self._find(command):
            self._context.use_idle(node, STAYS)

    def _find(self, command: str) -> list[SourceNode]:
        return [self._nodes[name] for name in _USE.findall(command) if name in self._nodes]

    def finish(self, nodes: list[SourceNode]) -> None:
        """Record the variables that no job uses. Where only heartbeats were made, those of cron itself still apply."""
        for node in nodes:
            if self.has_heartbeats and not self.has_requests and node.key in _REASONS:
                self._context.use_idle(node, STAYS)
            why, nearest = _REASONS.get(node.key, ("no imported command uses it", ""))
            self._context.ledger.record_rest(node, why, nearest)

    def _set_timezone(self, node: SourceNode, value: str) -> None:
        if value in available_timezones():
            self.timezone = value
            self._context.use(node)
        else:
            self._context.drop(node, "it is not an IANA time zone; the schedules are in UTC", "--timezone of import")

    def _set_delay(self, node: SourceNode, value: str) -> None:
        minutes = int(read_number(value)) if value.isdecimal() else 0
        if not 0 < minutes <= _MAX_DELAY_MINUTES:
            self._context.drop(node, "expected minutes from 1 to 1440", "schedule.jitter")
            return
        self.delay = minutes * 60.0
        self.jitter = write_duration(self.delay)
        self._context.use(
            node, "becomes schedule.jitter, a delay that is always the same for a job, or the grace of a heartbeat"
        )
