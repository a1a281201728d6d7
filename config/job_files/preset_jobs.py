"""Jobs made of a preset: `preset: NAME` with `with: {parameter: value}`. Called by config.job_files.definitions.

The job is put over its preset, and that over the defaults of the file, all by the rule of `merge_defaults`. What
follows sees an ordinary definition. A finding about a value of the preset is reported at the job's key `with` or
`preset`, which is what a user can change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from config.job_files.defaults import has_value, merge_defaults, remaining_defaults
from config.job_files.entries import JobEntry
from config.presets.library import PresetLibrary
from config.presets.preset import FilledPreset, Preset
from jobs.definition import JobDefinition
from jobs.formats import format_duration
from jobs.problems import Finding, KeyPath, dotted_path
from jobs.schedules import find_shortest_gap


def uses_preset(value: Any) -> bool:
    """Return whether a job is to be expanded. The API shows one that is expanded with a mapping as its preset."""
    return isinstance(value, dict) and "preset" in value and not isinstance(value["preset"], dict | None)


@dataclass(frozen=True, slots=True)
class ExpandedJob:
    """`entry`: the ordinary definition. `preset`, `filled`: what it is made of. `written`: other keys of the job."""

    entry: JobEntry
    preset: Preset
    filled: FilledPreset
    written: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def locate(self, finding: Finding) -> Finding:
        """Return the finding at the key that a user can change. Its path: of the file, in the expanded job."""
        depth = len(self.entry.path)
        path = finding.path[depth:]
        if not path or has_value(self.written, path) or not has_value(self.filled.job, path):
            in_defaults = path and not has_value(self.written, path) and has_value(self.defaults, path)
            return replace(finding, path=("defaults", *path)) if in_defaults else finding
        names = [name for name in self._parameters_at(path) if name in self.filled.values]
        place = ("with", names[0]) if names else ("preset",)
        message = f"{dotted_path(*path)} of the preset {self.preset.name}: {finding.message}"
        return replace(finding, path=(*finding.path[:depth], *place), message=message)

    def path_in_file(self, path: KeyPath) -> KeyPath:
        """Return the key that a user can change for a path of the file, in the expanded job."""
        return self.locate(Finding(path, "")).path

    def _parameters_at(self, path: KeyPath) -> Iterator[str]:
        for source, names in self.filled.sources.items():
            if source[: len(path)] == path:
                yield from names

    def find_too_frequent(self, job: JobDefinition) -> Iterator[Finding]:
        """Yield a finding if the job runs more often than its preset allows."""
        shortest = None if job.schedule is None else find_shortest_gap(job.schedule)
        if shortest is not None and shortest < self.preset.minimum_interval:
            least = format_duration(self.preset.minimum_interval)
            often = f"runs every {format_duration(shortest)}"
            message = f"{often}, and the preset {self.preset.name} allows one run in {least}"
            yield Finding((*self.entry.path, "schedule"), message, f"write schedule: every {least}, or remove it")


def expand_job(
    entry: JobEntry, defaults: Mapping[str, Any], library: PresetLibrary
) -> ExpandedJob | tuple[Finding, ...]:
    """Return the ordinary definition of a job with a preset, or what is wrong with its keys `preset` and `with`."""
    preset = library.find_used(entry.value["preset"], (*entry.path, "preset"))
    if isinstance(preset, Finding):
        return (preset,)
    values = entry.value.get("with")
    values = {} if values is None else values
    if mistakes := tuple(preset.find_mistakes(values, entry.path)):
        return mistakes
    filled = preset.fill(values)
    own = {key: value for key, value in entry.value.items() if key not in ("preset", "with")}
    written = merge_defaults(remaining_defaults(defaults, filled.job), own)
    overrides = {key: value for key, value in written.items() if key != "name"}
    use = {"name": preset.name, "with": values, "overrides": overrides}
    job = {**merge_defaults(filled.job, written), "preset": use}
    return ExpandedJob(JobEntry(entry.name, job, entry.path), preset, filled, own, defaults)


def expand_definition(definition: Mapping[str, Any], library: PresetLibrary) -> Mapping[str, Any] | None:
    """Return a definition with what its preset gives; None if its preset or a value of it is wrong."""
    if not uses_preset(definition):
        return definition
    expanded = expand_job(JobEntry(None, definition, ()), {}, library)
    return expanded.entry.value if isinstance(expanded, ExpandedJob) else None


def check_preset(preset: Preset, define: Callable[[JobEntry], object]) -> tuple[Finding, ...]:
    """Return what is wrong with the job of a preset, with its examples as values. `define`: defines a job."""
    filled = preset.fill(preset.examples)
    defined = define(JobEntry(preset.name, filled.job, ()))
    findings = defined if isinstance(defined, tuple) else ()
    return tuple(replace(one, path=("job", *one.path)) for one in findings if isinstance(one, Finding))
