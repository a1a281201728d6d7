"""Lines of a crontab as a tree: variables, and jobs with their schedule, user, command and input. Which variables the
jobs need, and what becomes of the others.

The form is that of crontab(5) of Vixie cron and cronie. Blank lines and comments are not values; the comment right
above a job is its description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any
from zoneinfo import available_timezones

from importers.cron import is_schedule
from importers.import_context import ImportContext
from importers.reading import write_duration
from importers.source_tree import MAX_LEAVES, SourceFile, SourceNode, SourceTree, UnreadableSource
from importers.sources.crontab.requests import read_number
from jobs.problems import KeyPath

_VARIABLE = re.compile(r"""\s*(?P<q>["']?)(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P=q)\s*=\s*(?P<value>.*?)\s*""")
_USER = re.compile(r"[a-z_][a-z0-9_-]*\$?(?:[:/][a-z0-9_-]+)*")
_SYSTEM_USERS = frozenset(
    re.findall(
        r"\S+",
        """
        root daemon bin sys www-data www apache nginx httpd postgres mysql redis backup mail news man proxy git
        operator ubuntu debian admin deploy jenkins gitlab munin nagios monitor monitoring postfix smmsp list games
        """,
    )
)
"""Names that tell the form with a user from a command."""
_SYSTEM_HINT = re.compile(r"#.*\buser(?:-?name)?\b.*\bcommand\b", re.IGNORECASE)
MAX_LINE_LENGTH = 10_000
"""Characters: ten times of what cron reads of a command."""
_COMMENT_EDGE = " \t#-=*"


@dataclass(slots=True)
class CrontabLines:
    """A crontab as a tree. `comments`: the comment above the job at an index of the tree's list."""

    tree: SourceTree
    has_users: bool
    comments: dict[int, str] = field(default_factory=dict)


def read_lines(file: SourceFile, has_users: bool | None = None) -> CrontabLines:
    """Read a crontab. `has_users`: whether jobs have a user, as in /etc/crontab; None: detected."""
    rows = file.text.split("\n")
    if len(rows) > MAX_LEAVES:
        raise UnreadableSource(file.shown, f"has more than {MAX_LEAVES} lines", "split it", MAX_LEAVES, 1)
    if has_users is None:
        has_users = _has_users(file, rows)
    entries: list[dict[str, Any]] = []
    numbers: list[int] = []
    comments: dict[int, str] = {}
    comment = ""
    for number, row in enumerate(rows, 1):
        text = row.strip()
        if text.startswith("#") or not text:
            comment = text.strip(_COMMENT_EDGE)
            continue
        if comment:
            comments[len(entries)] = comment
        comment = ""
        entries.append(_read_row(text, has_users))
        numbers.append(number)

    def line_of(path: KeyPath) -> int | None:
        return numbers[path[0]] if path and isinstance(path[0], int) else 1

    tree = SourceTree(file.shown, entries, line_of, lambda path: ".".join(map(str, path[1:])))
    return CrontabLines(tree, has_users, comments)


def looks_like_crontab(text: str) -> bool:
    """Whether each line is a variable, a comment or a job, and at least one is a job."""
    jobs = 0
    for row in text.split("\n"):
        line = row.strip()
        if len(line) > MAX_LINE_LENGTH:
            return False
        if not line or line.startswith("#") or _VARIABLE.fullmatch(line):
            continue
        schedule, rest = split_schedule(line)
        if not rest or not is_schedule(schedule):
            return False
        jobs += 1
    return jobs > 0


def split_schedule(line: str) -> tuple[str, str]:
    """Return the schedule of a job, with single blanks, and the rest of its line."""
    count = 1 if line.startswith("@") else 5
    parts = line.split(None, count)
    return " ".join(parts[:count]), parts[count] if len(parts) > count else ""


def _read_row(line: str, has_users: bool) -> dict[str, Any]:
    if len(line) > MAX_LINE_LENGTH:
        return {"line": line}
    variable = _VARIABLE.fullmatch(line)
    if variable is not None and not line.startswith(("*", "@")):
        return {variable["name"]: _unquote(variable["value"])}
    schedule, rest = split_schedule(line)
    if not rest or not is_schedule(schedule.removeprefix("-")):
        return {"line": line}
    entry: dict[str, Any] = {"schedule": schedule}
    if has_users:
        entry["user"], *others = rest.split(None, 1)
        if not others:
            return {"line": line}
        rest = others[0]
    command, *inputs = _split_at_percent(rest.strip())
    entry["command"] = command.strip()
    if inputs:
        entry["input"] = "\n".join(inputs)
    return entry


def _unquote(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _split_at_percent(command: str) -> list[str]:
    """Split at `%`, which begins the input and its further lines; `\\%` is the sign itself."""
    parts = re.split(r"(?<!\\)%", command)
    return [part.replace("\\%", "%") for part in parts]


def _has_users(file: SourceFile, rows: list[str]) -> bool:
    path = PurePath(file.shown)
    if path.parent.name == "cron.d" or str(path) == "/etc/crontab":
        return True
    if any(_SYSTEM_HINT.match(row.strip()) for row in rows):
        return True
    rests = [split_schedule(row.strip()) for row in rows if row.strip() and not row.strip().startswith("#")]
    commands = [rest.split(None, 1) for schedule, rest in rests if is_schedule(schedule) and rest]
    return bool(commands) and all(
        len(parts) == 2 and _USER.fullmatch(parts[0]) is not None and parts[0].partition(":")[0] in _SYSTEM_USERS
        for parts in commands
    )


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
