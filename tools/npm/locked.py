"""Installs npm packages that a lock file pins, with their hashes. Called by ./dev test and bench.lighthouse.

    install_locked("axe")        # tools/npm/axe/package-lock.json into .tools/axe

Needs npm, and of Python its standard library alone. A new version: change package.json, then run
`npm install --package-lock-only --omit-lockfile-registry-resolved` in its folder.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FILES = ("package.json", "package-lock.json")


def install_locked(name: str) -> Path | None:
    """Install the packages unless they exist. Return their folder node_modules, or None if npm fails."""
    source, folder = ROOT / "tools" / "npm" / name, (ROOT / ".tools" / name).resolve()
    packages = folder / "node_modules"
    stamp, digest = packages / "installed.txt", _hash(source)
    if stamp.exists() and stamp.read_text() == digest:
        return packages
    folder.mkdir(parents=True, exist_ok=True)
    for file in _FILES:
        shutil.copy(source / file, folder)
    if not _succeeds("npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)):
        return None
    stamp.write_text(digest)
    return packages


def _hash(source: Path) -> str:
    return hashlib.sha256(b"".join((source / file).read_bytes() for file in _FILES)).hexdigest()


def _succeeds(*command: str) -> bool:
    """The output of npm goes to standard error."""
    try:
        return subprocess.run(command, stdout=2).returncode == 0
    except (FileNotFoundError, PermissionError):
        return False
