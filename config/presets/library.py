"""Reads preset files: those of the product, one by one at their first use, and those of users with their job files.

Users' presets are files *.yaml, *.yml and *.json of the folder `presets` next to the job files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError

import jobs
from config.documents.document import Document, UnreadableFile, parse_document
from config.presets.preset import Preset
from jobs.model_base import FILE_CONTEXT
from jobs.problems import Finding, KeyPath, Problem, validation_findings
from jobs.problems.findings import did_you_mean, suggest_name

PRESETS_FOLDER = "presets"
"""Of users, next to the job files."""
MAX_PRESET_BYTES = 200_000
MAX_OWN_PRESETS = 500
_LISTED_BY = "`scheduler presets list` lists all"
_BUILT_IN = Path(jobs.__path__[0]) / "presets"


@cache
def built_in_names() -> tuple[str, ...]:
    """Return the names of the product's presets."""
    return tuple(sorted(file.stem for file in _BUILT_IN.glob("*.yaml")))


@cache
def _read_built_in(name: str) -> Preset:
    file = _BUILT_IN / f"{name}.yaml"
    read = read_preset(file.read_bytes(), file.name)
    assert isinstance(read, Preset), f"{file.name}: {[*map(str, read)]}"
    return read


@dataclass(frozen=True, slots=True)
class PresetLibrary:
    """The presets that jobs can use. `own`: those of users. `digest`: differs for other presets of users."""

    own: Mapping[str, Preset] = field(default_factory=dict)
    digest: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """Displayed name of the file of each of `own`."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({*built_in_names(), *self.own}))

    def __iter__(self) -> Iterator[Preset]:
        return (preset for name in self.names if (preset := self.find(name)) is not None)

    def find(self, name: str) -> Preset | None:
        if name in self.own:
            return self.own[name]
        return _read_built_in(name) if name in built_in_names() else None

    def find_used(self, name: Any, path: KeyPath) -> Preset | Finding:
        """Return the preset of a job, or what is wrong with its name. `path`: of the job's key `preset`."""
        if not isinstance(name, str):
            return Finding(path, "is not the name of a preset", _LISTED_BY)
        if (preset := self.find(name)) is not None:
            return preset
        near = suggest_name(name, self.names)
        hint = _LISTED_BY if near else f"{_LISTED_BY}; your own are next to the job files of the scheduler that runs it"
        return Finding(path, f"unknown preset{did_you_mean(near)}", hint)


NO_OWN_PRESETS = PresetLibrary()


def read_preset(content: bytes, shown: str, *, is_own: bool = False) -> Preset | tuple[Problem, ...]:
    """Return the preset of a file, or everything that is wrong with it. `shown`: the name of the file."""
    if len(content) > MAX_PRESET_BYTES:
        return (Problem("", f"is larger than {MAX_PRESET_BYTES} bytes", "a preset is one job", shown),)
    try:
        document = parse_document(content, shown)
    except UnreadableFile as error:
        return (error.problem,)
    problems = document.duplicate_problems()
    read = _validate(document, PurePath(shown).stem, is_own)
    if isinstance(read, Preset):
        return tuple(problems) or read
    return (*problems, *map(document.problem, read))


def _validate(document: Document, name: str, is_own: bool) -> Preset | tuple[Finding, ...]:
    value = document.value
    if not isinstance(value, dict):
        return (Finding((), "is not a preset", "write description, parameters and job"),)
    if wrong := [key for key in ("name", "is_own") if key in value]:
        return (Finding((wrong[0],), "unknown key", "the name of a preset is that of its file"),)
    try:
        return Preset.model_validate({**value, "name": name, "is_own": is_own}, context=FILE_CONTEXT)
    except ValidationError as error:
        return tuple(
            Finding((), f"{name} is not a name of a preset", "use a-z, 0-9 and -") if one.path == ("name",) else one
            for one in validation_findings(error.errors(include_url=False), Preset)
        )


def read_own_presets(files: Iterable[tuple[str, bytes | Problem]]) -> tuple[PresetLibrary, tuple[Problem, ...]]:
    """Return the presets of users, and everything that is wrong with the others. `files`: displayed names, contents."""
    own: dict[str, Preset] = {}
    shown_names: dict[str, str] = {}
    problems: list[Problem] = []
    digest = hashlib.sha256()
    for number, (shown, content) in enumerate(files):
        if number >= MAX_OWN_PRESETS:
            problems.append(Problem("", f"is one of more than {MAX_OWN_PRESETS} presets", "remove some", shown))
            break
        if isinstance(content, Problem):
            problems.append(content)
            continue
        digest.update(shown.encode() + b"\0" + content + b"\0")
        read = read_preset(content, shown, is_own=True)
        if not isinstance(read, Preset):
            problems += read
        elif read.name in built_in_names():
            problems.append(Problem("", f"the scheduler has a preset {read.name} itself", "rename the file", shown))
        elif read.name in own:
            problems.append(Problem("", f"the preset {read.name} is defined twice", "rename one of the files", shown))
        else:
            own[read.name] = read
            shown_names[read.name] = shown
    return PresetLibrary(own, digest.hexdigest()[:12] if own or problems else "", shown_names), tuple(problems)
