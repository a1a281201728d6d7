"""The version of a working copy: the tag of its commit, or what lies between two tags.

    v0.2.0 at this commit               0.2.0
    12 commits after v0.2.0             0.2.0+12.g1a2b3c4d5e6f
    a repository without a tag          0.2.0+g1a2b3c4d5e6f, with the version of scheduler/version.py
    files without git, such as an archive   0.2.0
    changed files                       .dirty at the end

The number of scheduler/version.py is the one that the next tag gets, so a tag must equal it.
"""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from container.errors import InvalidUse

VERSION_FILE = "scheduler/version.py"
UNKNOWN_REVISION = "unknown"
_TAG_PATTERN = "v[0-9]*"
_DESCRIPTION = re.compile(r"(?:v(?P<tag>\d+\.\d+\.\d+(?:[-.]?[0-9A-Za-z.]+)?)-(?P<count>\d+)-g)?(?P<commit>[0-9a-f]+)")
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class SourceVersion:
    """`revision`: the whole hash of the commit. `time`: of the commit, in Unix seconds; None without git."""

    version: str
    revision: str
    time: int | None

    @property
    def image_tag(self) -> str:
        """The version as a tag of an image, which has no plus sign."""
        return _NOT_IN_TAG.sub("-", self.version)


def read_source_version(root: Path) -> SourceVersion:
    """Return the version of the working copy in this folder. Raises InvalidUse for a tag that is not its number."""
    number = read_number(root)
    revision = _git(root, "rev-parse", "--verify", "HEAD") if (root / ".git").exists() else None
    if not revision:
        return SourceVersion(number, UNKNOWN_REVISION, None)
    described = _git(root, "describe", "--tags", "--match", _TAG_PATTERN, "--long", "--always", "--abbrev=12")
    found = _DESCRIPTION.fullmatch(described or "")
    if found is None:
        raise InvalidUse(f"git describe printed {described!r}: a tag must have the form v1.2.3.")
    changed = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    time = _git(root, "show", "--no-patch", "--format=%ct", "HEAD")
    version = _combine(number, found["tag"], int(found["count"] or 0), found["commit"], changed)
    return SourceVersion(version, revision, int(time) if time else None)


def read_number(root: Path) -> str:
    """Return the constant of scheduler/version.py."""
    for node in ast.parse((root / VERSION_FILE).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION":
            return str(ast.literal_eval(node.value))
    raise InvalidUse(f"{VERSION_FILE} has no line VERSION = ...")


def _combine(number: str, tag: str | None, count: int, commit: str, changed: bool) -> str:
    if tag is not None and count == 0:
        if tag != number:
            raise InvalidUse(f"this commit has the tag v{tag}, but {VERSION_FILE} contains {number}.")
        return f"{tag}+dirty" if changed else tag
    after = f"g{commit}" if tag is None else f"{count}.g{commit}"
    return f"{tag or number}+{after}{'.dirty' if changed else ''}"


def _git(root: Path, *words: str) -> str | None:
    """Return what git prints; None without git, or for a folder that is not a working copy."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
