"""Rotas that no file defines, and windows with one name."""

from __future__ import annotations

from collections.abc import Iterator

from config.job_files.alerting.context import AlertingContext, LocatedEntry
from jobs.problems import Problem


def find_unknown_rotas(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each route whose `on_call` is not a rota."""
    for one in context.entries_of("routes"):
        rota = one.entry.value.on_call
        for _, name in context.find_missing("on_call", () if rota is None else (rota,)):
            yield one.problem_at(("on_call",), *context.describe_missing("rota", "on_call", name))


def find_repeated_windows(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each window with the name of an earlier one: decisions and silences name windows."""
    first: dict[str, LocatedEntry] = {}
    for one in context.entries_of("windows"):
        name = one.entry.value.name
        if (other := first.setdefault(name, one)) is not one:
            yield one.problem(f"the window {name} is defined twice: first in {other.origin}", "rename one", "name")
