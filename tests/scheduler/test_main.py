"""`python -m scheduler` in a Python that cannot run it: what it says instead of a traceback."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from scheduler.__main__ import SUPPORTED_VERSIONS, describe_missing_package, find_version_problem
from tests.parts.proc import ROOT, clean_environment


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python of this version without any package."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def started(python: Path, *words: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        [str(python), "-m", "scheduler", *words], env=environment, cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.parametrize(("words", "instead"), [(["history"], "./dev cli history"), (["serve"], "./dev run")])
def test_a_python_without_the_packages_is_reported_what_to_type(bare: Path, words: list[str], instead: str) -> None:
    ended = started(bare, *words)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        f"the package typer is not installed in this Python ({bare})",
        f"run `{instead}`, which uses the project's own environment, or install the packages: "
        f"{bare} -m pip install -r requirements.txt",
    ]


def test_elsewhere_the_commands_name_the_projects_folder(bare: Path, tmp_path: Path) -> None:
    reported = started(bare, cwd=tmp_path).stderr

    assert f"`{ROOT / 'dev'} cli`" in reported
    assert f"-r {ROOT / 'requirements.txt'}" in reported


def test_a_package_that_only_one_command_needs_is_named_too(tmp_path: Path) -> None:
    """An environment that was installed in part, or before a package was added."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pydantic'] = None\n")

    ended = started(Path(sys.executable), "jobs", PYTHONPATH=f"{tmp_path}:{ROOT}")

    assert ended.returncode == 2
    assert ended.stderr.startswith("the package pydantic is not installed in this Python")
    assert "Traceback" not in ended.stderr


def test_a_module_of_the_program_that_is_missing_is_a_mistake_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['scheduler.features.jobs.queries'] = None\n")

    ended = started(Path(sys.executable), "jobs", PYTHONPATH=f"{tmp_path}:{ROOT}")

    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14), (4, 0)])
def test_a_python_of_another_version_is_refused(version: tuple[int, int]) -> None:
    reported = find_version_problem(version)

    assert reported is not None
    assert reported.startswith("the scheduler needs Python 3.11, 3.12 or 3.13, got {}.{} (".format(*version))
    assert "3.11, 3.12 or 3.13" in reported


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_supported_python_is_not(version: tuple[int, int]) -> None:
    assert find_version_problem(version) is None


def test_the_versions_are_those_of_the_project_file() -> None:
    oldest, newest = SUPPORTED_VERSIONS[0], SUPPORTED_VERSIONS[-1]
    versions = f'requires-python = ">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"'

    assert versions in (ROOT / "pyproject.toml").read_text()


def test_a_python_that_is_too_old_is_reported_so_before_anything_is_imported(bare: Path, tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import runpy, sys
        sys.version_info = (3, 10, 13)
        sys.argv = ["scheduler", "jobs"]
        runpy.run_module("scheduler", run_name="__main__")
    """)
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}

    ended = subprocess.run([str(bare), "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)

    assert ended.returncode == 2
    assert ended.stderr.startswith("the scheduler needs Python 3.11, 3.12 or 3.13, got 3.10 (")
    assert "Traceback" not in ended.stderr


def test_what_starts_the_program_can_be_read_by_old_pythons() -> None:
    """Else a syntax error would be all that they say."""
    for file in ("scheduler/__init__.py", "scheduler/__main__.py"):
        text = (ROOT / file).read_text(encoding="ascii")
        assert "from __future__" not in text
        assert 'f"' not in text
        compile(text, file, "exec", flags=0, dont_inherit=True)


def test_arguments_are_quoted_for_a_shell() -> None:
    assert "`./dev cli next '* * * * *'`" in describe_missing_package("typer", ["next", "* * * * *"], str(ROOT))
