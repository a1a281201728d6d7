"""Names of common expressions: `@hourly`, `@daily` and others. Called by jobs.schedules.cron.ncrontab."""

from __future__ import annotations

from difflib import get_close_matches

from jobs.errors import ScheduleError

MACROS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@every_minute": "0 * * * * *",
    "@every_second": "* * * * * *",
}
"""Name -> expression of six fields."""


def expand_macro(name: str) -> list[str]:
    """Return the six fields of a macro; its case does not matter.

    Raises:
        ScheduleError: unknown name; the message suggests a similar one or another form.
    """
    macro = name.lower()
    if macro in MACROS:
        return MACROS[macro].split()
    raise ScheduleError(f"{name[:40]!r} is not a macro: {_mend(macro)}")


def _mend(macro: str) -> str:
    if macro == "@reboot":
        return "instances start at times that the platform chooses; run the job on demand, or write @hourly"
    if macro.startswith("@every "):
        return f"write {{every: {macro.removeprefix('@every ').strip()[:20]}}} for an interval"
    near = get_close_matches(macro.split()[0], MACROS, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"the macros are {', '.join(MACROS)}"
