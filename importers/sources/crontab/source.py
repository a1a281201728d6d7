"""Maps the lines of crontabs to jobs: the functions of the source, see importers.running."""

from __future__ import annotations

from collections.abc import Sequence

from importers.cron import CronSchedule, InvalidSchedule, parse_schedule_fields
from importers.import_context import ImportContext
from importers.ledger import JobDraft
from importers.source_tree import NotCarriedOver, SourceFile, SourceNode, UnreadableSource
from importers.sources.crontab.commands import make_name, read_request
from importers.sources.crontab.heartbeats import find_ping, put_heartbeat
from importers.sources.crontab.lines import MAX_LINE_LENGTH, CronVariables, looks_like_crontab, read_lines
from importers.sources.crontab.requests import put_request
from importers.sources.crontab.shell import ShellCommand, parse_command

_MAX_DESCRIPTION = 300


def detects(file: SourceFile) -> bool:
    """Return whether the file is a crontab: each of its lines is one of a crontab."""
    try:
        return looks_like_crontab(file.text)
    except UnreadableSource:
        return False


def import_files(files: Sequence[SourceFile], context: ImportContext, has_users: bool | None = None) -> None:
    """Add a job for each line that only sends a request, or pings after its command.

    `has_users`: the system form; None: detected.
    """
    tokens: set[str] = set()
    for file in files:
        lines = read_lines(file, has_users)
        root = context.add_tree(lines.tree)
        variables = CronVariables(context, tokens)
        defined: list[SourceNode] = []
        for index, entry in enumerate(root.children()):
            if entry.child("command") is not None:
                _map_job(entry, lines.comments.get(index, ""), variables, context)
            elif (line := entry.child("line")) is not None:
                context.drop(line, _explain_line(str(line.value)))
            else:
                defined += entry.children()
                variables.define(defined[-1])
        variables.finish(defined)
        if not any(entry.child("command") for entry in root.children()) and root.value:
            message = "has no line that is a schedule and a command"
            raise UnreadableSource(file.shown, message, "give a crontab, such as the output of crontab -l", 1, 1)


def _explain_line(line: str) -> str:
    if len(line) > MAX_LINE_LENGTH:
        return f"it is longer than {MAX_LINE_LENGTH} characters"
    try:
        parse_schedule_fields(" ".join(line.split(None, 5)[:5]))
    except InvalidSchedule as error:
        return f"cron does not run it: {error}"
    return "cron does not run it: it has no command"


def _map_job(entry: SourceNode, comment: str, variables: CronVariables, context: ImportContext) -> None:
    schedule_node, node = entry.child("schedule"), entry.child("command")
    assert schedule_node is not None
    assert node is not None
    try:
        schedule = _read_schedule(str(schedule_node.value))
    except NotCarriedOver as error:
        context.drop(schedule_node, error.why, error.nearest)
        context.ledger.record_rest(entry, error.why, error.nearest)
        return
    variables.check_size(node)
    try:
        command = parse_command(str(node.value), variables.values)
        request = read_request(command)
    except NotCarriedOver as error:
        ping = find_ping(str(node.value), variables.values)
        if ping is not None:
            draft = _new_job(ping.name, entry, comment, context)
            put_heartbeat(context, draft, ping, entry, schedule, variables)
            return
        nearest = error.nearest or _nearest(schedule)
        context.drop(node, error.why, nearest)
        context.ledger.record_rest(entry, error.why, nearest)
        return
    draft = _new_job(make_name(request), entry, comment, context)
    _put_schedule(draft, schedule, schedule_node, command, variables)
    try:
        put_request(context, draft, request, command, node, entry.child("input"))
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return
    variables.use(str(node.value), draft.name)
    if (user := entry.child("user")) is not None:
        draft.use(user, how="the scheduler sends the request with its own identity, not as this user")


def _new_job(hint: str, entry: SourceNode, comment: str, context: ImportContext) -> JobDraft:
    draft = context.new_job(hint, entry)
    if comment:
        draft.put("description", comment[:_MAX_DESCRIPTION])
    return draft


def _read_schedule(text: str) -> CronSchedule | int:
    """Return the schedule; seconds of an interval for `@300` of FreeBSD. Raises NotCarriedOver."""
    text = text.removeprefix("-")  # SUSE: without a log line
    if text.lower() == "@reboot":
        why = "a start of the machine is not an instant"
        raise NotCarriedOver(why, "a job without a schedule, started by: run JOB")
    if text.lower() == "@every_second":
        return 1
    if text.startswith("@") and text[1:].isdecimal():
        if not 1 <= int(text[1:]) <= 366 * 86400:
            raise NotCarriedOver("the interval is out of range")
        return int(text[1:])
    return parse_schedule_fields(text)


def _nearest(schedule: CronSchedule | int) -> str:
    expressions = (f"every {schedule}s",) if isinstance(schedule, int) else schedule.expressions
    text = " and ".join(f'"{expression}"' for expression in expressions)
    return f"a job of kind heartbeat with the schedule {text}, which the command pings when it succeeds"


def _put_schedule(
    draft: JobDraft,
    schedule: CronSchedule | int,
    node: SourceNode,
    command: ShellCommand,
    variables: CronVariables,
) -> None:
    if isinstance(schedule, int):
        how = "" if schedule == 1 else "the interval is between starts, not from an end to the next start"
        draft.put("schedule", {"every": f"{schedule}s"}, node, how=how)
        return
    notes = schedule.notes(variables.timezone)
    if command.delay:
        notes.append(f"sleep {command.delay} becomes the second")
        schedule = schedule.at_second(command.delay)
    draft.put("schedule", schedule.to_value(variables.timezone, variables.jitter), node, how="; ".join(notes))


class SystemCrontab:
    """The source `crontab-system`: a crontab whose lines have a user, as /etc/crontab."""

    def detects(self, file: SourceFile) -> bool:
        """Return False: the source `crontab` recognises both forms, by path, comments and usual users."""
        return False

    def import_files(self, files: Sequence[SourceFile], context: ImportContext) -> None:
        """Add the jobs of all files."""
        import_files(files, context, has_users=True)


SYSTEM = SystemCrontab()
