"""What the commands about silences and windows have in common: what they select, and how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from jobs.incidents.suppression.windows import ExplicitSelector

SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="KEY=VALUE",
        help="job=NAME (* is any text), tag=KEY=VALUE, severity=down, kind=http, or all. Repeatable.",
    ),
]
STATE_STYLES = {"active": "bold yellow", "pending": "", "ended": "dim"}
"""Of the states of silences and windows."""
_LISTS = {"job": "jobs", "severity": "severities", "kind": "kinds"}
_EXPECTED = "expected job=NAME, tag=KEY=VALUE, severity=NAME, kind=NAME or all"


def parse_select_options(texts: list[str] | None) -> dict[str, Any]:
    """Return the keys of `select` in job files. Values of a key are alternatives. An error ends the command with 2."""
    if not texts:
        fail(f"give --select: {_EXPECTED}")
    found: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if text == "all":
            found["all"] = True
        elif key in _LISTS and value:
            found.setdefault(_LISTS[key], []).append(value)
        elif key == "tag" and value.partition("=")[2]:
            name, _, tag = value.partition("=")
            found.setdefault("tags", {}).setdefault(name, []).append(tag)
        else:
            fail(f"--select: {_EXPECTED}, got {text!r}")
    return found


def describe_selector(selector: ExplicitSelector) -> str:
    """Return the values of --select that select the same."""
    if selector.all:
        return "all"
    found = [f"job={each}" for each in selector.jobs]
    found += [f"tag={key}={value}" for key, values in selector.tags.items() for value in values]
    found += [f"severity={each}" for each in selector.severities] + [f"kind={each}" for each in selector.kinds]
    return " ".join(found)
