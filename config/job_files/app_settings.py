"""Resolves `%NAME%` in a job's schedule by the app settings, as the Functions host does for a timer's schedule.

Called by config.job_files.entries before a job is validated. App settings are environment variables, on Azure and, by
way of local.settings.json, in the Functions tools; `Section:Name` is the variable `Section__Name`. A resolved value is
not resolved again. A value that does not look like a schedule never appears in a message, because it can be any value
of the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.documents import yaml_text
from config.documents.parse_result import ParseError
from jobs.problems import Finding, KeyPath, looks_secret, make_printable
from jobs.problems.findings import fold_name, suggest_name

_APP_SETTING_REFERENCE = re.compile(r"%([^%\s]{1,200})%")
_SCHEDULE_PATHS: tuple[KeyPath, ...] = (("schedule",), ("check", "schedule"))
_FLAT_SCHEDULE_KEYS = frozenset({"schedule", "cronexpression", "cron", "scheduleexpression", "timezone", "timezoneid"})
_SCHEDULE_PATTERN = re.compile(r"[0-9A-Za-z*/,#?@:.%_ +-]{1,200}")
_SCHEDULE_WORD = re.compile(
    r"[0-9.:]+|@[a-z_]+|[0-9.]+(?:ms|s|m|h|d)|[*0-9,/-]+|[A-Za-z]+/[A-Za-z_/]+|UTC", re.IGNORECASE
)
_SCHEDULE_KINDS = frozenset({"cron", "every", "monthly"})
_SCHEDULE_KEYS = _SCHEDULE_KINDS | {"offset", "timezone", "dst", "jitter", "start", "end", "except"}
_MAX_MAPPING_LENGTH = 1000
_MAX_WORD_LENGTH = 40
"""Characters: a longer word can be a key."""


@dataclass(slots=True)
class ResolvedSchedules:
    """A job with resolved schedules, and the origin of each."""

    job: Mapping[str, Any]
    findings: list[Finding] = field(default_factory=list)
    app_settings_by_path: dict[KeyPath, str] = field(default_factory=dict)
    """Path of a schedule -> the app settings in it."""

    def with_origin(self, finding: Finding, depth: int = 0) -> Finding:
        """Return the finding with the app setting of its value. `depth`: keys of its path above the job's."""
        for path, names in self.app_settings_by_path.items():
            if finding.path[depth : depth + len(path)] == path:
                origin = f"the value comes from the app setting {names}"
                hint = f"{finding.hint}; {origin}" if finding.hint else origin
                return Finding(finding.path, finding.message, hint)
        return finding


def resolve_schedules(job: Mapping[str, Any], environ: Mapping[str, str], *, flat: bool) -> ResolvedSchedules:
    """Replace each `%NAME%` in the job's schedules; `findings` has the references that cannot be resolved."""
    resolved = ResolvedSchedules(job)
    paths = _SCHEDULE_PATHS
    if flat:
        paths = tuple(
            (key,) for key, value in job.items() if _has_reference(value) and fold_name(key) in _FLAT_SCHEDULE_KEYS
        )
    for path in paths:
        _resolve_path(resolved, path, environ)
    return resolved


def _resolve_path(resolved: ResolvedSchedules, path: KeyPath, environ: Mapping[str, str]) -> None:
    *above, key = path
    holder: Any = resolved.job
    for step in above:
        holder = holder.get(step) if isinstance(holder, Mapping) else None
    if not isinstance(holder, Mapping) or not _has_reference(holder.get(str(key))):
        return
    names: dict[str, None] = {}
    findings: list[Finding] = []
    value = _replace_references(holder[str(key)], path, environ, names, findings)
    if findings:
        resolved.findings += findings
        # A valid value, so that further problems of the job are found.
        value = "UTC" if fold_name(str(key)).startswith("timezone") else "@daily"
    resolved.app_settings_by_path[path] = ", ".join(names)
    changed = {str(above[0]): {**holder, key: value}} if above else {str(key): value}
    resolved.job = {**resolved.job, **changed}


def _has_reference(value: Any) -> bool:
    if isinstance(value, str):
        return "%" in value and _APP_SETTING_REFERENCE.search(value) is not None
    if isinstance(value, dict):
        return any(map(_has_reference, value.values()))
    return isinstance(value, list) and any(map(_has_reference, value))


def _replace_references(
    value: Any, path: KeyPath, environ: Mapping[str, str], names: dict[str, None], findings: list[Finding]
) -> Any:
    if isinstance(value, dict):
        return {key: _replace_references(one, (*path, key), environ, names, findings) for key, one in value.items()}
    if isinstance(value, list):
        return [_replace_references(one, (*path, index), environ, names, findings) for index, one in enumerate(value)]
    if not isinstance(value, str):
        return value

    whole = _APP_SETTING_REFERENCE.fullmatch(value.strip())
    if whole is not None and (mapping := _read_mapping(whole[1], environ)) is not None:
        names[make_printable(whole[1])] = None
        return mapping

    def setting(reference: re.Match[str]) -> str:
        name = reference[1]
        found, problem = _read_setting(name, environ)
        names[make_printable(name)] = None
        if problem is not None:
            findings.append(Finding(path, *problem))
        return found

    return _APP_SETTING_REFERENCE.sub(setting, value)


def _read_setting(name: str, environ: Mapping[str, str]) -> tuple[str, tuple[str, str] | None]:
    """Return the value of the app setting, or a message and a hint."""
    shown = make_printable(name)
    if _may_be_secret(name):
        return "", (f"%{shown}% names an app setting that may be a secret", "a schedule must not contain secrets")
    value, variable = _find_value(name, environ), _variable_of(name)
    if value is None:
        near = suggest_name(variable, [key for key in environ if not looks_secret(key)])
        meant = f", or write the name of the variable that is set: {near}" if near else ""
        return "", (f"the app setting {shown} is not set", f"set the variable {make_printable(variable)}{meant}")
    if not _looks_like_schedule(value.strip()):
        what = "is empty" if not value.strip() else f"holds {len(value)} characters that are not a schedule"
        return "", (f"the app setting {shown} {what}", "it holds a text such as 0 */5 * * * * or 00:05:00")
    return value.strip(), None


def _may_be_secret(name: str) -> bool:
    return looks_secret(name) or name.upper().startswith("SCHEDULER_SECRET_")


def _variable_of(name: str) -> str:
    return name.replace(":", "__")


def _find_value(name: str, environ: Mapping[str, str]) -> str | None:
    """Find the value. Names of app settings are not case-sensitive on Azure."""
    variable = _variable_of(name)
    if (value := environ.get(variable)) is not None:
        return value
    return next((environ[key] for key in environ if key.upper() == variable.upper()), None)


def _read_mapping(name: str, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the app setting as a mapping of a schedule, such as `{monthly: {day: last}}`; None for other values."""
    value = (_find_value(name, environ) or "").strip()
    if not value.startswith("{") or len(value) > _MAX_MAPPING_LENGTH or _may_be_secret(name):
        return None
    try:
        read = yaml_text.parse_yaml(value).value
    except ParseError:
        return None
    return read if isinstance(read, dict) and _SCHEDULE_KINDS & read.keys() and read.keys() <= _SCHEDULE_KEYS else None


def _looks_like_schedule(value: str) -> bool:
    if not _SCHEDULE_PATTERN.fullmatch(value) or any(len(word) > _MAX_WORD_LENGTH for word in value.split()):
        return False
    if " " in value:
        return value[0] in "0123456789*@" or value.startswith("every ")
    return _SCHEDULE_WORD.fullmatch(value) is not None
