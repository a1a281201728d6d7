"""What must not be in any file of the project, and what every Python file must be."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.project import ROOT

REGISTRY = re.compile(
    r"(?i)https?://[^\s\"']*(pythonhosted|pypi|registry\.npmjs|registry\.yarnpkg|deb\.debian|proxy\.golang|crates\.io)"
    r"|--(extra-)?index-url[ =]\s*\S*://|\"resolved\":\s*\"(?=https?:|file:|git)"
)
SOMEBODYS_FOLDER = re.compile(r"(?<![\w./~}-])/(work|root|Users|home/(?!site\b|data\b|LogFiles\b|ASP)\w+)/[\w.-]+")


@cache
def files() -> tuple[Path, ...]:
    """What git tracks or would add, or everything except caches where the project was copied without git."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
        return tuple(path for name in names if name and (path := ROOT / name).is_file())
    found = (path for path in ROOT.rglob("*") if path.is_file() and path.relative_to(ROOT).parts[0][0] != ".")
    return tuple(path for path in found if "__pycache__" not in path.parts)


def hits(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if path != Path(__file__) and pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    return found


def test_no_file_names_a_package_registry() -> None:
    """Whoever installs decides where packages come from."""
    assert hits(REGISTRY) == []


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    assert hits(SOMEBODYS_FOLDER) == []


@pytest.mark.parametrize(
    "line", ["see https://pypi.org/simple", "--index-url https://x/y", '"resolved": "https://a/b"']
)
def test_registry_addresses_are_recognised(line: str) -> None:
    assert REGISTRY.search(line)


@pytest.mark.parametrize("line", ["cd /root/project", "open('/home/anna/x')", "/Users/anna/x"])
def test_folders_of_a_machine_are_recognised(line: str) -> None:
    assert SOMEBODYS_FOLDER.search(line)


def test_every_python_file_parses_on_the_oldest_supported_python() -> None:
    for path in files():
        if path.suffix == ".py":
            ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 11))


def test_no_local_settings_or_secret_file_is_tracked() -> None:
    names = {path.name for path in files()}
    assert names.isdisjoint({"local.settings.json", ".env"})
