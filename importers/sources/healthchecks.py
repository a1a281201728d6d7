"""Imports the answer of `GET /api/v3/checks/` of Healthchecks (also v1 and v2) as heartbeats.

The answer of `GET /api/v3/channels/` in a second file adds the names of the integrations to the report. Cron and
OnCalendar schedules (`Mon..Fri *-*-* 08:00`) become schedules of a job file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from importers.cron import convert_cron
from importers.import_context import ImportContext
from importers.ledger import JobDraft, KeyHandler, drop_set_key, use_key
from importers.reading import (
    find_text,
    read_boolean,
    read_integer,
    read_optional_text,
    read_text,
    split_tags,
    write_duration,
)
from importers.source_tree import NotCarriedOver, SourceFile, SourceNode, UnreadableSource
from jobs.errors import ScheduleError
from jobs.schedules.time_zones import load_time_zone
from jobs.targets.heartbeat import SHORTEST_TOKEN


def format_numbers(numbers: Iterable[int], least: int, most: int) -> str:
    """Return `*` for all numbers of the field, `*/5`, a range such as `1-5`, or a list."""
    ordered = sorted(set(numbers))
    if ordered == list(range(least, most + 1)):
        return "*"
    if len(ordered) > 2:
        step = ordered[1] - ordered[0]
        if step > 1 and ordered == list(range(least, most + 1, step)):
            return f"*/{step}"
        if ordered == list(range(ordered[0], ordered[-1] + 1)):
            return f"{ordered[0]}-{ordered[-1]}"
    return ",".join(map(str, ordered))


_MACROS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "anually": "*-01-01 00:00:00",
}
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_WEEKDAYS = re.compile(r"[A-Za-z]+(?:(?:\.\.|-|,)[A-Za-z]+)*,?")
_DATE = re.compile(r"(?:(?P<year>[^-~:]+)-)?(?P<month>[^-~:]+)(?P<mark>[-~])(?P<day>[^-~:]+)")
_NEAREST = "use a cron expression or monthly"


def convert_on_calendar(text: str, timezone: str) -> tuple[list[Any], str]:
    """Return the schedules of all lines, and how they were changed. Raises NotCarriedOver."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise NotCarriedOver("the schedule is empty")
    return [_convert_line(line, timezone) for line in lines], "written as cron or monthly"


def _convert_line(line: str, timezone: str) -> dict[str, Any]:
    words = line.split()
    if words[0].lower() in _MACROS:
        words = [*_MACROS[words[0].lower()].split(), *words[1:]]
    zone = _take_zone(words) or timezone
    weekdays = words.pop(0) if words and _WEEKDAYS.fullmatch(words[0]) else ""
    date = words.pop(0) if words and ":" not in words[0] else "*-*-*"
    time = words.pop(0) if words else "00:00:00"
    if words:
        raise NotCarriedOver(f"{line!r} is not an OnCalendar expression", _NEAREST)
    schedule = _build(line, _read_weekdays(weekdays), date, time)
    return schedule if zone in ("UTC", "Etc/UTC") else {**schedule, "timezone": zone}


def _take_zone(words: list[str]) -> str:
    if len(words) < 2 or ":" in words[-1] or "*" in words[-1] or words[-1][0].isdigit():
        return ""
    try:
        load_time_zone(words[-1])
    except (ScheduleError, ValueError):
        return ""
    return words.pop()


def _build(line: str, weekdays: str, date: str, time: str) -> dict[str, Any]:
    parts = _DATE.fullmatch(date)
    if parts is None:
        raise NotCarriedOver(f"{line!r} is not an OnCalendar expression", _NEAREST)
    if parts["year"] not in (None, "*"):
        raise NotCarriedOver("a schedule has no years", "set start and end of the schedule")
    clock = _read_time(time)
    months = _read_numbers(parts["month"], 1, 12)
    if parts["mark"] == "~":
        return _build_from_last_day(line, weekdays, months, parts["day"], clock)
    days = format_numbers(_read_numbers(parts["day"], 1, 31), 1, 31)
    return {"cron": " ".join([*clock, days, format_numbers(months, 1, 12), weekdays])}


def _build_from_last_day(line: str, weekdays: str, months: set[int], day: str, clock: list[str]) -> dict[str, Any]:
    """`*-*~01` is the last day; `Mon *-*~07/1` is the last Monday."""
    second, minute, hour = clock
    if second != "0" or not all(part.isdecimal() for one in (minute, hour) for part in one.split(",")):
        raise NotCarriedOver("a schedule from the last day of the month has times without seconds", _NEAREST)
    if weekdays == "*" and day.isdecimal():
        written = "last" if int(day) == 1 else f"last-{int(day) - 1}"
    elif weekdays.isdecimal() and re.fullmatch(r"0?7/1", day):
        written = f"last-{_DAYS[int(weekdays)]}"
    else:
        raise NotCarriedOver(f"{line!r} counts days from the end of the month", _NEAREST)
    times = [f"{int(hours):02d}:{int(minutes):02d}" for hours in hour.split(",") for minutes in minute.split(",")]
    monthly: dict[str, Any] = {"day": written, "at": times[0] if len(times) == 1 else times}
    if len(months) < 12:
        monthly["months"] = sorted(months)
    return {"monthly": monthly}


def _read_time(time: str) -> list[str]:
    """Return second, minute and hour as fields of a cron expression."""
    parts = time.split(":")
    if len(parts) == 2:
        parts.append("0")
    if len(parts) != 3:
        raise NotCarriedOver(f"{time!r} is not a time of an OnCalendar expression", _NEAREST)
    hour, minute, second = (_read_numbers(part, 0, most) for part, most in zip(parts, (23, 59, 59), strict=True))
    return [format_numbers(second, 0, 59), format_numbers(minute, 0, 59), format_numbers(hour, 0, 23)]


def _read_weekdays(text: str) -> str:
    if not text:
        return "*"
    days: set[int] = set()
    for part in text.strip(",").split(","):
        first, _, last = part.replace("..", "-").partition("-")
        start, end = _day_number(first), _day_number(last or first)
        # From Monday (0 here) to Sunday (6), as systemd orders them.
        days |= {(number % 7 + 1) % 7 for number in range(start, (end if end >= start else end + 7) + 1)}
    return format_numbers(days, 0, 6)


def _day_number(word: str) -> int:
    """Return 0 for Monday to 6 for Sunday."""
    for number, name in enumerate(_DAYS):
        if len(word) >= 3 and name.startswith(word.lower()):
            return (number + 6) % 7
    raise NotCarriedOver(f"{word!r} is not a day of the week", _NEAREST)


def _read_numbers(text: str, least: int, most: int) -> set[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\*|\d{1,2})(?:\.\.(\d{1,2}))?(?:/(\d{1,2}))?", part)
        if match is None:
            raise NotCarriedOver(f"{part!r} is not a number, range or repetition of an OnCalendar expression", _NEAREST)
        start = least if match[1] == "*" else int(match[1])
        end = int(match[2]) if match[2] else most if match[1] == "*" or match[3] else start
        step = int(match[3] or 1)
        if not (least <= start <= end <= most and step):
            raise NotCarriedOver(f"{part!r} is out of range: expected {least} to {most}", _NEAREST)
        numbers |= set(range(start, end + 1, step))
    return numbers


def convert_schedule(text: str, timezone: str) -> tuple[Any, str]:
    """Return a schedule of a job file, and how it was changed. Raises NotCarriedOver.

    An OnCalendar schedule has lines that begin with a date, a time or the name of a macro without @.
    """
    fields = text.split()
    if "\n" not in text.strip() and (len(fields) in (5, 6) or text.strip().startswith("@")) and not _has_time(fields):
        schedules = convert_cron(text.strip(), timezone)
        how = "the day of month and the day of week are two schedules" if len(schedules) > 1 else ""
    else:
        schedules, how = convert_on_calendar(text, timezone)
    return (schedules[0] if len(schedules) == 1 else schedules), how


def _has_time(fields: list[str]) -> bool:
    return any(":" in field for field in fields)


_MAX_DESCRIPTION = 500
_STATE = "a state of the other service: this heartbeat is new until its first ping"
_OWN_ADDRESS = "an address of the other service: GET /api/jobs and the commands pause and resume replace it"
_NO_MAIL = "pings cannot arrive as e-mail"
_NO_KEYWORDS = "the text of a ping is stored, and not searched for keywords"
_USE_ADDRESSES = "let the program request /api/ping/TOKEN, /start, /fail or its exit code, such as /api/ping/TOKEN/1"


def import_check(context: ImportContext, node: SourceNode, channels: Mapping[str, str]) -> None:
    """Add the heartbeat of a check."""
    name = _first_text(node, "name", "slug", "unique_key", "uuid") or "check"
    draft = context.new_job(name, node, node.child("name"))
    draft.put("check.kind", "heartbeat")
    _put_token(context, draft, node)
    _put_due_rule(draft, node)
    draft.put("alerts", [{"open_after": 1}])
    draft.map_keys(node, {**CHECK_HANDLERS, "channels": partial(_map_channels, channels)})


def _first_text(node: SourceNode, *keys: str) -> str:
    texts = (child.value for key in keys if (child := node.child(key)) is not None)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _put_token(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    """The secret in the address of pings is the uuid, so that programs only change the host and the path."""
    uuid = node.child("uuid")
    address = node.child("ping_url")
    value = str(uuid.value) if uuid is not None else ""
    if not value and address is not None and isinstance(address.value, str):
        value = address.value.rstrip("/").rpartition("/")[2]
    hint = f"{draft.name}-token"
    if len(value) >= SHORTEST_TOKEN:
        purpose = (
            f"token of the pings of {draft.name}: the uuid of the check, so that only the start of the address changes"
        )
        token = context.secrets.reference(value, hint, purpose, uuid or address)
        draft.put("check.token", token, uuid, how="the uuid becomes a secret")
    else:
        purpose = f"token of the pings of {draft.name}, at least {SHORTEST_TOKEN} characters: openssl rand -hex 16"
        draft.put("check.token", context.secrets.require(hint, purpose))
    draft.use(address, how="pings go to /api/ping/TOKEN of this scheduler, with the same endings")


def _put_due_rule(draft: JobDraft, node: SourceNode) -> None:
    timeout, schedule, timezone = node.child("timeout"), node.child("schedule"), node.child("tz")
    if schedule is not None and schedule.value:
        zone = find_text(timezone) or "UTC"
        try:
            converted, how = convert_schedule(read_text(schedule), zone)
        except NotCarriedOver as error:
            draft.drop(schedule, error.why, error.nearest)
        else:
            draft.put("check.schedule", converted, schedule, timezone, how=how)
    elif timeout is not None:
        draft.map_key(timeout, _map_timeout)


def _map_timeout(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.period", write_duration(read_integer(node)), node)


def _map_grace(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.grace", write_duration(read_integer(node)), node)


def _map_description(draft: JobDraft, node: SourceNode) -> None:
    text = read_optional_text(node)
    if not text:
        draft.use(node)
    elif len(text) > _MAX_DESCRIPTION:
        shortened = text[: _MAX_DESCRIPTION - 1] + "…"
        draft.put("description", shortened, node, how=f"shortened to {_MAX_DESCRIPTION} characters")
    else:
        draft.put("description", text, node)


def _map_tags(draft: JobDraft, node: SourceNode) -> None:
    tags = split_tags(read_optional_text(node).split())
    how = "a tag without a value has the value true" if "true" in tags.values() else ""
    draft.put_if(bool(tags), "tags", tags, node, how=how)


def _map_slug(draft: JobDraft, node: SourceNode) -> None:
    how = "pings have the token in their address; there is no address with the name of a job"
    draft.use(node, how=how if read_optional_text(node) else "")


def _map_methods(draft: JobDraft, node: SourceNode) -> None:
    nearest = "do not publish the address of pings"
    draft.drop_if(read_optional_text(node), node, "a ping by GET, HEAD or POST counts", nearest)


def _map_manual_resume(draft: JobDraft, node: SourceNode) -> None:
    draft.use(node, how="" if read_boolean(node) else "a ping does not end a pause: the command resume does")


def _map_status(draft: JobDraft, node: SourceNode) -> None:
    if read_text(node) == "paused":
        draft.put("enabled", False, node, how="a paused check becomes a disabled job")
    else:
        draft.use(node, how=_STATE)


def _map_channels(channels: Mapping[str, str], draft: JobDraft, node: SourceNode) -> None:
    text = read_optional_text(node)
    if not text:
        draft.use(node)
        return
    names = ", ".join(channels.get(one.strip(), "of an unknown kind") for one in text.split(","))
    raise NotCarriedOver(
        f"the API does not return the address and the key of an integration: {names}",
        "define alerting.channels, and name them in notify of the rule in alerts",
    )


CHECK_HANDLERS: dict[str, KeyHandler] = {
    "desc": _map_description,
    "tags": _map_tags,
    "slug": _map_slug,
    "grace": _map_grace,
    "methods": _map_methods,
    "manual_resume": _map_manual_resume,
    "status": _map_status,
    **dict.fromkeys(("started", "n_pings", "last_ping", "next_ping", "last_duration"), use_key(_STATE)),
    **dict.fromkeys(("unique_key", "badge_url", "update_url", "pause_url", "resume_url"), use_key(_OWN_ADDRESS)),
    **dict.fromkeys(
        ("filter_subject", "filter_body", "subject", "subject_fail"), drop_set_key(_NO_MAIL, _USE_ADDRESSES)
    ),
    **dict.fromkeys(
        ("filter_http_body", "filter_default_fail", "start_kw", "success_kw", "failure_kw"),
        drop_set_key(_NO_KEYWORDS, _USE_ADDRESSES),
    ),
}


_HINT = "save the answer of GET /api/v3/checks/ with the key of the project"
_MARKS = frozenset({"ping_url", "unique_key", "n_pings", "grace", "manual_resume"})


def detects(file: SourceFile) -> bool:
    """Return whether the file is an answer with checks."""
    if file.head.lstrip()[:1] not in (b"{", b"["):
        return False
    return any(_is_check(node) for node in _list_checks(file.tree.root))


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add a heartbeat for each check of all files. Raises UnreadableSource."""
    channels: dict[str, str] = {}
    checks: list[SourceNode] = []
    for file in files:
        root = context.add_tree(file.tree)
        file_checks = list(_list_checks(root))
        listed = root.child("channels")
        if listed is not None and not file_checks:
            _read_channels(context, listed, channels)
        elif not file_checks and root.child("checks") is None:
            raise UnreadableSource(file.shown, "has neither checks nor channels", _HINT)
        checks += file_checks
    for node in checks:
        if _is_check(node):
            import_check(context, node, channels)
        else:
            context.drop(node, "is not a check: it has none of the keys of one", _HINT)


def _list_checks(root: SourceNode) -> Iterator[SourceNode]:
    """Yield the checks of an answer: a list, one check, or `checks` of the list's answer."""
    listed = root.child("checks")
    if listed is None:
        listed = root
    if isinstance(listed.value, list):
        yield from listed.children()
    elif _is_check(listed):
        yield listed


def _is_check(node: SourceNode) -> bool:
    return isinstance(node.value, dict) and len(_MARKS & node.value.keys()) > 1


def _read_channels(context: ImportContext, listed: SourceNode, channels: dict[str, str]) -> None:
    for node in listed.children():
        name, kind = node.child("name"), node.child("kind")
        identifier = node.child("id")
        if identifier is not None and kind is not None:
            channels[str(identifier.value)] = f"{kind.value} ({name.value})" if name and name.value else str(kind.value)
        context.drop(
            node,
            "the API does not return the address and the key of an integration",
            "define it in alerting.channels, and a route with notify",
        )
