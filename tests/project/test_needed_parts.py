"""Which parts, other than packages of Python, the selected tests need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needed_parts
from tests.project import ROOT


def find(folder: Path, *arguments: str) -> list[str] | None:
    """The parts that pytest finds for these arguments; None: it has not written them."""
    file = folder / "parts.json"
    environ = {**os.environ, needed_parts.FILE_VARIABLE: str(file)}
    subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environ, capture_output=True)
    return json.loads(file.read_text()) if file.exists() else None


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("tests/jobs/formats/test_counts.py", []),
        ("tests/infra/kubernetes", ["infra", "kubernetes_schemas"]),
        ("tests/parts/test_azurite.py", ["azurite"]),
        ("tests/parts/test_functions_worker.py", ["worker"]),
        ("tests/acceptance/test_beside_alertmanager.py", ["alertmanager"]),
        ("tests/scheduler/api/dashboard/every_page/test_accessibility.py", ["axe", "chromium"]),
        ("tests/project/test_jenkinsfile.py", ["groovy"]),
        ("tests/nowhere", []),
    ],
)
def test_the_parts_are_those_of_the_selected_tests(path: str, parts: list[str], tmp_path: Path) -> None:
    assert find(tmp_path, path) == parts


def test_a_test_that_is_deselected_needs_nothing(tmp_path: Path) -> None:
    assert find(tmp_path, "tests/parts/test_azurite.py", "-k", "nonsense") == []


def test_finding_the_parts_changes_no_snapshot(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    (folder / "__snapshots__" / "test_these").mkdir(parents=True)
    snapshot = folder / "__snapshots__" / "test_these" / "test_a.txt"
    snapshot.write_text("a")
    (folder / "test_these.py").write_text("def test_a(text_snapshot): assert text_snapshot == 'a'\n")
    find(tmp_path, str(folder), "-p", "tests.conftest", f"--rootdir={tmp_path}", "--snapshot-update")
    assert snapshot.exists()


def test_each_module_that_reports_a_missing_part_is_known() -> None:
    """Else `./dev test PATH` would skip its tests instead of installing the part."""
    callers = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for folder in ("tests/parts", "tests/infra", "tests/project", "tests/scheduler", "tests/observability")
        for file in (ROOT / folder).rglob("*.py")
        if "import missing\n" in file.read_text()
    }
    shared = {"tests.parts.debian_programs"}  # used by known modules
    packages = {"tests.project.test_container"}  # of Python
    by_import = {"tests.infra.kubernetes.test_schemas", "tests.infra.packaging.test_helm_chart"}  # of tools.infra
    of_system = {"tests.infra.packaging.test_systemd"}  # Debian's package systemd
    assert callers - needed_parts.USERS.keys() == shared | packages | by_import | of_system
