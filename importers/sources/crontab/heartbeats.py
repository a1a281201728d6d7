"""Makes a heartbeat of a line of a crontab that pings an address at its end: `backup.sh && curl
https://hc-ping.com/UUID`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from importers.cron import CronSchedule
from importers.import_context import ImportContext
from importers.ledger import JobDraft
from importers.reading import write_duration
from importers.source_tree import NotCarriedOver, SourceNode
from importers.sources.crontab.commands import make_name, read_request
from importers.sources.crontab.lines import STAYS, CronVariables
from importers.sources.crontab.requests import complete_url
from importers.sources.crontab.shell import (
    HARMLESS_ENDS,
    HARMLESS_STARTS,
    MAX_NESTING,
    ShellCommand,
    find_inner_line,
    parse_command,
    read_words,
    remove_wrappers,
)
from jobs.targets.heartbeat import SHORTEST_TOKEN

_TOKENS = re.compile(
    r"""
    \\. | '[^']*' | "(?:\\.|[^"\\])*" | \$?\( | \) | `[^`]*` | && | \|\| | ;+ | \d?[<>]+&? | &>+ | & | \n |
    [^\\'"$()`&|;<>\n\d]+ | .
    """,
    re.VERBOSE | re.DOTALL,
)
_SUBSTITUTION = re.compile(r"\$\([^()]*\)|`[^`]*`")
_MAX_COMMANDS = 20
_OUTPUT = "$OUTPUT"
"""Stands for the output of a program within a ping."""
_EXIT_CODE = r"\d{1,3}|\$\{?(?:rc|ret|status|code|exit_code)\}?"
_ENDING = re.compile(rf"(?<=[^/])/(start|fail|log|{_EXIT_CODE})/?$", re.IGNORECASE)
_STATES = {"run": "start", "fail": "fail", "down": "fail"}
"""Of the parameters `state` and `status`."""
_UUID_OR_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=\D*\d)(?=[^a-z]*[a-z])[a-z0-9]{16,}", re.I)
_INTERPRETER = re.compile(r"(?:python|perl|ruby|php|node|java|bash|sh|dash|zsh|ksh)[\d.]*")
_SCRIPT_ENDING = re.compile(r"\.(?:sh|bash|py|pl|rb|php|js|jar)$")
_SUBCOMMAND = re.compile(r"[a-z][a-z:_-]{1,30}")
_WITH_SUBCOMMANDS = frozenset({"manage", "artisan", "console"})
_HARMLESS = HARMLESS_STARTS | HARMLESS_ENDS | {"sleep"}


@dataclass(frozen=True, slots=True)
class CommandPing:
    """The ping of a command. `name`: made from the command. `host`: of the address. `timeout`: of the command, seconds.

    `token`: the secret part of the address; empty if it could be guessed. `notes`: for the author of the line.
    """

    name: str
    host: str
    token: str
    timeout: float | None
    notes: tuple[str, ...]


class _Address(NamedTuple):
    """An address of a ping. `path`: without the `ending`, which is `start`, `fail`, `log`, an exit code or empty."""

    host: str
    path: str
    ending: str

    def is_of(self, other: _Address) -> bool:
        return self[:2] == other[:2]

    @property
    def token(self) -> str:
        last = self.path.rpartition("/")[2]
        return last if _UUID_OR_KEY.fullmatch(last) else ""


@dataclass(slots=True)
class _LineCommand:
    """One command of a line. `operator`: the one before it. `ping`: the address, if it is a ping."""

    operator: str
    text: str
    ping: _Address | None = None

    @property
    def is_harmless(self) -> bool:
        first = self.text.split(None, 1)[0]
        return first in _HARMLESS


def find_ping(text: str, variables: Mapping[str, str], depth: int = 0) -> CommandPing | None:
    """Return the ping that a line sends about a command before it; None without one."""
    try:
        read_words(text)
    except NotCarriedOver:
        return None  # the shell does not run it either
    parts = _split(text)
    commands = [part for part in parts if not part.is_harmless]
    if len(commands) > _MAX_COMMANDS:
        return None
    if len(commands) == 1 and depth < MAX_NESTING:
        return _find_inner_ping(commands[0].text, variables, depth)
    for part in commands:
        part.ping = _read_ping(part.text, variables)
    return next((found for index in _rank(commands) if (found := _describe(commands, index, variables))), None)


def _find_inner_ping(text: str, variables: Mapping[str, str], depth: int) -> CommandPing | None:
    """Return the ping within `(...)` or `sh -c '...'`."""
    if text.startswith("(") and text.endswith(")"):
        return find_ping(text[1:-1], variables, depth + 1)
    inner = find_inner_line(_unwrap(text, variables))
    return find_ping(inner, variables, depth + 1) if inner is not None else None


def _split(text: str) -> list[_LineCommand]:
    """Return the commands between the operators of a line; those within `(...)` and quotes are not separate."""
    parts = [_LineCommand("", "")]
    level = 0
    for token in _TOKENS.findall(text):
        level = max(level + (token in ("(", "$(")) - (token == ")"), 0)
        if level == 0 and (token in ("&&", "||", "&", "\n") or token.startswith(";")):
            parts.append(_LineCommand(token, ""))
        else:
            parts[-1].text += token
    for part in parts:
        part.text = part.text.strip()
    return [part for part in parts if part.text]


def _read_ping(text: str, variables: Mapping[str, str]) -> _Address | None:
    """Return the address if a command only sends a ping: no header, no credentials, no body but output."""
    try:
        request = read_request(parse_command(_SUBSTITUTION.sub(_OUTPUT, text), variables))
        parts = urlsplit(complete_url(request.urls[0]).replace("$?", "$code"))  # `?` would begin the query
        host = parts.hostname or ""
    except (NotCarriedOver, ValueError):
        return None
    headers = [name for name, _ in request.headers if name.lower() != "user-agent"]
    is_message = any(data and "$" not in data for data in request.data)
    if request.method not in (None, "GET", "HEAD", "POST") or headers or is_message or not host:
        return None
    if request.username is not None or request.bearer or parts.scheme not in ("http", "https"):
        return None
    found = _ENDING.search(parts.path)
    path = parts.path[: found.start()] if found else parts.path.rstrip("/")
    parameters = parse_qs(parts.query)
    states = [_STATES.get(one.lower(), "") for key in ("state", "status") for one in parameters.get(key, ())]
    return _Address(host, path, found[1].lower() if found else next(iter(states), ""))


def _rank(parts: list[_LineCommand]) -> list[int]:
    """Return the pings after other commands: that of a success, last one first, before that of a failure."""
    found = [
        index for index, part in enumerate(parts) if index and part.ping and part.ping.ending not in ("start", "log")
    ]
    return sorted(found, key=lambda index: (_is_of_failure(parts[index]), -index))


def _is_of_failure(part: _LineCommand) -> bool:
    return part.operator == "||" or (part.ping is not None and part.ping.ending == "fail")


def _describe(parts: list[_LineCommand], index: int, variables: Mapping[str, str]) -> CommandPing | None:
    """Return the ping at an index; None if it is not about another command."""
    ping = parts[index].ping
    assert ping is not None
    before = [part for part in parts[:index] if part.ping is None or not part.ping.is_of(ping)]
    if not before or (before[0].ping is not None and not ping.token):
        return None  # two requests: whether one of them is a ping is not known
    same = [part for part in parts if part.ping is not None and part.ping.is_of(ping)]
    notes = []
    if any(part.ping is not None and part.ping.ending == "start" for part in same):
        notes.append("the ping of the start ends with /start")
    if _is_of_failure(parts[index]):
        notes.append("the line pings only after a failure: add a ping after success, such as one that ends with /$?")
    elif any(map(_is_of_failure, same)):
        notes.append("the ping of a failure ends with /fail")
    if parts[index].operator != "&&" and not ping.ending and not _is_of_failure(parts[index]):
        notes.append("it pings after a failure, too: let the address end with /$?, or write && before the ping")
    command = _unwrap(before[0].text, variables)
    return CommandPing(_make_name(before[0], command), ping.host, ping.token, command.timeout, tuple(notes))


def _unwrap(text: str, variables: Mapping[str, str]) -> ShellCommand:
    """Return the first program of a command."""
    command = ShellCommand(text.split())
    try:
        command.words = [word for word in read_words(text) if word not in ("(", "{", "!")]
        remove_wrappers(command, variables)
    except NotCarriedOver:
        return ShellCommand(command.words or text.split(), timeout=command.timeout)
    return command


def _make_name(part: _LineCommand, command: ShellCommand) -> str:
    """`/opt/backup.sh --full` -> `backup`, `php artisan schedule:run` -> `artisan schedule:run`."""
    if command.program in ("curl", "wget"):
        try:
            return make_name(read_request(command))
        except NotCarriedOver:
            return command.program
    words = command.words
    if _INTERPRETER.fullmatch(command.program):
        scripts = [index for index, word in enumerate(words) if index and not word.startswith("-")]
        words = words[scripts[0] :] if scripts else words
    name = _SCRIPT_ENDING.sub("", PurePosixPath(words[0]).name)
    # Another word could be a password; that of a program with subcommands is hardly one.
    has_subcommand = "/" not in words[0] and "." not in words[0]
    if len(words) > 1 and (has_subcommand or name in _WITH_SUBCOMMANDS) and _SUBCOMMAND.fullmatch(words[1]):
        return f"{name} {words[1]}"
    return name or "command"


_MAX_GRACE, _SHORTEST_GRACE = 3600.0, 60.0
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
    longest = ping.timeout or min(gap, _MAX_GRACE)
    return max(longest, _SHORTEST_GRACE) + variables.delay
