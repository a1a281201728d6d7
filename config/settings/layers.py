"""The layers of settings: environments/base.yaml, environments/<environment>.yaml, environment variables.

Each layer knows the location of its values, so that a problem names the file and line or the variable to fix. Key Vault
references that the platform did not resolve are found here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from config.documents.document import Document, UnreadableFile, parse_document, read_file
from config.settings.variables import (
    ENVIRONMENT_VARIABLE,
    expand_value_files,
    explain_unknown_variable,
    identity_problems,
    should_be_setting,
    variable_path,
    variable_precedence,
    without_service_principal,
)
from jobs.problems import Finding, Problem, dotted_path
from jobs.problems import KeyPath as KeyPath


class SettingsLayer(Protocol):
    """Some settings, and the location of each one."""

    @property
    def values(self) -> Mapping[str, Any]: ...

    @property
    def base(self) -> Path:
        """The folder that relative paths in this layer start from."""
        ...

    def problem(self, finding: Finding) -> Problem:
        """Return the problem of a finding, with its place in this layer."""
        ...


@dataclass(frozen=True)
class FileLayer:
    """One of the YAML files."""

    document: Document
    base: Path

    @property
    def values(self) -> Mapping[str, Any]:
        return self.document.value or {}

    def problem(self, finding: Finding) -> Problem:
        return self.document.problem(finding)

    def without_problems(self, problems: Iterable[Problem]) -> FileLayer:
        """The layer without the values that have these problems."""
        values = self.values
        for problem in problems:
            if problem.file == self.document.file:
                values = _prune(values, problem.key.partition("[")[0].split("."))
        return replace(self, document=replace(self.document, value=values))


@dataclass(frozen=True)
class VariableLayer:
    """The environment variables that are settings."""

    values: Mapping[str, Any]
    base: Path
    names: Mapping[KeyPath, str] = field(default_factory=dict)

    def problem(self, finding: Finding) -> Problem:
        for end in range(len(finding.path), 0, -1):
            if (name := self.names.get(finding.path[:end])) is not None:
                return Problem(name, finding.message, finding.hint)
        return finding.to_problem()


def merge_layers(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the values of layers, the strongest first. Groups of settings are merged, and lists are not."""
    merged: dict[str, Any] = {}
    for values in layers:
        for key, value in values.items():
            if key not in merged:
                merged[key] = value
            elif isinstance(merged[key], Mapping) and isinstance(value, Mapping):
                merged[key] = merge_layers((merged[key], value))
    return merged


def _prune(values: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Return the values without the one at this path."""
    first, *rest = path
    inner = values.get(first)
    if rest and isinstance(inner, Mapping):
        return {**values, first: _prune(inner, rest)}
    return {key: value for key, value in values.items() if key != first}


def list_environments(folder: Path) -> tuple[str, ...]:
    """Return the names that SCHEDULER_ENVIRONMENT may have."""
    return tuple(sorted(file.stem for file in folder.glob("*.yaml") if file.stem != "base"))


def read_file_layer(file: Path, root: Path) -> FileLayer:
    """Read one of the YAML files. Raises UnreadableFile."""
    shown = str(file.relative_to(root) if file.is_relative_to(root) else file)
    document = parse_document(read_file(file, shown), shown)
    if document.value is not None and not isinstance(document.value, dict):
        raise UnreadableFile(Problem("", "is not a mapping of settings", file=shown, line=1))
    return FileLayer(document, root)


def read_variable_layer(
    environ: Mapping[str, str], environment: str, base: Path
) -> tuple[VariableLayer, list[Problem]]:
    """Return the settings among the environment variables; another SCHEDULER_ variable is a problem."""
    values: dict[str, Any] = {}
    names: dict[KeyPath, str] = {}
    expanded = expand_value_files(without_service_principal(environ))
    environ = expanded.values
    problems = [*identity_problems(environ), *expanded.problems]
    for name in sorted(environ, key=variable_precedence):
        upper = name.upper()
        path = variable_path(name)
        if path is None and should_be_setting(upper):
            problems.append(Problem(name, *explain_unknown_variable(upper)))
        if path is None or not environ[name].strip():
            continue
        _set_value(values, path, environ[name])
        names[path] = expanded.sources.get(name, name)
    values["environment"] = environment
    names["environment",] = ENVIRONMENT_VARIABLE
    return VariableLayer(values, base, names), problems


def _set_value(values: dict[str, Any], path: KeyPath, value: str) -> None:
    for part in path[:-1]:
        values = values.setdefault(str(part), {})
    values[str(path[-1])] = value


def find_layer(path: KeyPath, layers: tuple[SettingsLayer, ...]) -> SettingsLayer | None:
    """Return the strongest layer with a value at this path. `layers`: the strongest first."""
    return next((layer for layer in layers if _has_value(layer.values, path)), None)


def find_origin(path: KeyPath, layers: tuple[SettingsLayer, ...]) -> str:
    """Return where a setting's value comes from: a variable, or file and line."""
    layer = find_layer(path, layers)
    if layer is None:
        return f"default of {dotted_path(*path)}"
    place = layer.problem(Finding(path, ""))
    return f"{place.file}:{place.line}" if place.file else place.key


def _has_value(values: Any, path: KeyPath) -> bool:
    for step in path:
        if isinstance(step, int):
            return True  # lists are not merged: the layer with the list has its items
        if isinstance(values, str):
            return True  # a variable that holds a whole mapping as JSON
        if not isinstance(values, Mapping) or step not in values:
            return False
        values = values[step]
    return True


_REFERENCE_PREFIX = "@microsoft.keyvault("


def split_unresolved(layer: SettingsLayer) -> tuple[dict[str, Any], list[str]]:
    """Return the values without Key Vault references that the platform left as text, and a sentence about each."""
    sentences: list[str] = []

    def resolved(values: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
        remaining: dict[str, Any] = {}
        for key, value in values.items():
            if isinstance(value, dict):
                remaining[key] = resolved(value, (*path, key))
            elif is_unresolved(value):
                sentences.append(unresolved_message(layer.problem(Finding((*path, key), "")).key))
            else:
                remaining[key] = value
        return remaining

    return resolved(layer.values, ()), sentences


def is_unresolved(value: object) -> bool:
    """Whether a value is the text of a Key Vault reference, which the platform should have replaced."""
    return isinstance(value, str) and value.strip().lower().startswith(_REFERENCE_PREFIX)


def unresolved_message(name: str) -> str:
    """Return the message about it; never the value."""
    return (
        f"{name}: its Key Vault reference is not resolved; check that the secret exists "
        "and that the app's identity may read it"
    )
