"""Texts of drafts: as they stand in a job file, and what differs from the definition in force.

Called by scheduler.api.dashboard.editing.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from jobs.flat import is_flat_job
from jobs.formats.definition_yaml import write_definition
from scheduler.catalog.written_jobs import find_written_name
from scheduler.features.jobs.job_files import minimal_definition

if TYPE_CHECKING:
    from scheduler.catalog.catalog import CatalogJob
    from scheduler.queries.stored_jobs import DeclaredJob

_MAX_COMPARED_LINES: Final = 2000
"""Lines of a text that is compared: the time grows with their square."""
_LINE_OF_ORIGIN: Final = re.compile(r":\d+$")


def editable_definition(declared: DeclaredJob, entry: CatalogJob | None) -> Mapping[str, Any]:
    """Return the definition with its name as the form edits it: in the full form, if the job is in force."""
    if is_flat_job(declared.definition):
        return declared.definition if entry is None else {"name": declared.name, **minimal_definition(entry.job)}
    return {"name": declared.name, **declared.definition}


def file_of_origin(origin: str) -> str:
    """Return the job file of an origin such as `jobs/shop.yaml:12`."""
    return _LINE_OF_ORIGIN.sub("", origin)


def write_for_file(definition: Mapping[str, Any], file: str) -> str:
    """Return the job as it stands in a job file: JSON if the name of the file ends in .json, else YAML."""
    name = find_written_name(definition)
    if name is None or is_flat_job(definition):
        document: Mapping[str, Any] = {"jobs": [definition]}
    else:
        document = {"jobs": {name: {key: value for key, value in definition.items() if key != "name"}}}
    if file.lower().endswith(".json"):
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return write_definition(document)


def restore_numbers(value: Any, written: Any) -> Any:
    """Return the value with the numbers of `written` where they are equal: a browser turns 99.0 into 99."""
    if isinstance(value, Mapping) and isinstance(written, Mapping):
        return {key: restore_numbers(child, written.get(key)) for key, child in value.items()}
    if isinstance(value, list) and isinstance(written, list):
        return [restore_numbers(*pair) for pair in zip_longest(value, written[: len(value)])]
    return written if type(value) is int and type(written) is float and value == written else value


def compare_texts(before: str, after: str, before_name: str, after_name: str) -> str:
    """Return the unified diff; empty without a difference, or if a text is too long to compare."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > _MAX_COMPARED_LINES:
        return ""
    return "\n".join(difflib.unified_diff(old, new, before_name, after_name, lineterm=""))
