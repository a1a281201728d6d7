"""Adds entries to the section `alerting` of an imported job file. Used by the sources.

Each entry is validated alone when it is added, so that the file as a whole is valid.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from pydantic import ValidationError

from importers.errors import NotCarriedOver
from importers.import_context import ImportContext, make_slug, make_unique
from jobs.definition.alerting_registry import PARTS_BY_KEY
from jobs.model_base import FILE_CONTEXT
from jobs.problems import dotted_path, validation_findings


def add_named_entry(
    context: ImportContext, key: str, hint: str, entry: dict[str, Any], *, used: Container[str] = ()
) -> str:
    """Add an entry such as a channel and return its name. Raises NotCarriedOver: it is not valid.

    `used`: further names that it must not have.
    """
    _validate(key, entry)
    entries: dict[str, Any] = _section(context).setdefault(key, {})
    name = make_unique(make_slug(hint, key.rstrip("s")), _Both(entries, used))
    entries[name] = entry
    return name


def add_listed_entry(context: ImportContext, key: str, hint: str, entry: dict[str, Any]) -> str:
    """Add an entry of a list, such as a window, with a name. Raises NotCarriedOver: it is not valid."""
    entries: list[Any] = _section(context).get(key, [])
    name = make_unique(make_slug(hint, key.rstrip("s")), [one["name"] for one in entries])
    written = {"name": name, **entry}
    _validate(key, written)
    _section(context).setdefault(key, []).append(written)
    return name


class _Both:
    """Two containers as one."""

    def __init__(self, *containers: Container[str]) -> None:
        self._containers = containers

    def __contains__(self, value: object) -> bool:
        return any(value in container for container in self._containers)


def _section(context: ImportContext) -> dict[str, Any]:
    section: dict[str, Any] = context.sections.setdefault("alerting", {})
    return section


def _validate(key: str, entry: dict[str, Any]) -> None:
    try:
        PARTS_BY_KEY[key].adapter.validate_python(entry, context=FILE_CONTEXT)
    except ValidationError as error:
        finding = validation_findings(error.errors(include_url=False), PARTS_BY_KEY[key].model)[0]
        place = dotted_path(*finding.path)
        raise NotCarriedOver(f"{place}: {finding.message}" if place else finding.message) from None
