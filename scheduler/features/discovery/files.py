"""The files that a discovery writes: job files, one for each resource group, and the roles.

A file tells in its head who wrote it, and has a digest of the rest: one that a person has edited is never replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from config.documents.document import MAX_FILE_BYTES, UnreadableFile, parse_document
from config.job_files.entries import PartInterner
from config.job_files.reader import parse_file
from config.presets.library import PresetLibrary
from config.whole_files import replace_file
from jobs.formats import write_definition
from scheduler.features.discovery.models import DiscoveredFile

_WRITTEN = "Written by: python -m scheduler discover azure. It replaces this file until it is edited."
_GROUP, _DIGEST = "Resource group: ", "Digest: "
_SCHEMA_LINE = "# yaml-language-server: $schema=jobs.schema.json\n"


class OwnFile(NamedTuple):
    """A file that a discovery wrote. `group`: id of the resource group; empty for roles."""

    path: Path
    group: str
    is_edited: bool
    body: str


def add_head(body: str, group: str = "", comment: str = "#") -> str:
    """Return the text of a file. `comment`: what its comments begin with."""
    lines = [_WRITTEN, *([f"{_GROUP}{group}"] if group else []), f"{_DIGEST}{_hash(body)}"]
    return "".join(f"{comment} {line}\n" for line in lines) + body


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def read_own(path: Path) -> OwnFile | None:
    """Return the file if a discovery wrote it; None for all others. Raises OSError."""
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        return None
    comment = "//" if path.suffix == ".bicep" else "#"
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return None
    first, _, rest = text.partition("\n")
    if first != f"{comment} {_WRITTEN}":
        return None
    group = ""
    if rest.startswith(f"{comment} {_GROUP}"):
        line, _, rest = rest.partition("\n")
        group = line.removeprefix(f"{comment} {_GROUP}")
    line, _, body = rest.partition("\n")
    return OwnFile(path, group, line != f"{comment} {_DIGEST}{_hash(body)}", body)


def list_own(folder: Path) -> list[OwnFile]:
    """Return the job files of a folder that a discovery wrote. Raises OSError."""
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    return [own for file in files if (own := read_own(file)) is not None]


def list_names(own: OwnFile) -> frozenset[str]:
    """Return the names of the jobs of a file."""
    try:
        value = parse_document(own.body.encode(), own.path.name).value
    except UnreadableFile:
        return frozenset()
    jobs = value.get("jobs") if isinstance(value, dict) else None
    return frozenset(map(str, jobs)) if isinstance(jobs, dict) else frozenset()


def write_jobs(jobs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a job file without its head."""
    body = write_definition({"jobs": {name: dict(job) for name, job in jobs.items()}})
    return _SCHEMA_LINE + body


def find_refusal(jobs: Mapping[str, Mapping[str, Any]], presets: PresetLibrary) -> str:
    """Return why a job file with these jobs is not valid; empty if it is."""
    read = parse_file(
        write_jobs(jobs).encode(), "discovered.yaml", "discovered", None, PartInterner(), None, {}, presets
    )
    return str(read.problems[0]) if read.problems else ""


def write_files(files: Mapping[Path, str], obsolete: Iterable[OwnFile] = ()) -> Iterator[DiscoveredFile]:
    """Write the files that differ, and delete obsolete ones. Raises OSError."""
    for path, text in files.items():
        own = read_own(path)
        if (path.exists() or path.is_symlink()) and (own is None or own.is_edited):
            yield DiscoveredFile(path=str(path), action="edited")
        elif own is not None and path.read_bytes() == text.encode():
            yield DiscoveredFile(path=str(path), action="unchanged")
        else:
            replace_file(path, text)
            yield DiscoveredFile(path=str(path), action="written")
    for own in obsolete:
        if not own.is_edited:
            own.path.unlink()
        yield DiscoveredFile(path=str(own.path), action="edited" if own.is_edited else "deleted")
