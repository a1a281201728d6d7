"""pip builds and installs the program without a network, and the installed command serves."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from build_backend import PACKAGE, build_sdist
from container.versions import read_source_version
from tests.parts.proc import GUARDED, Program, free_port
from tests.project import ROOT

pytestmark = pytest.mark.slow


def run_program(*words: str | Path, cwd: Path) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(cwd), "XDG_STATE_HOME": str(cwd / "state")}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the installed program, whose dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    run_program(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    options = ("--no-index", "--no-deps", "--disable-pip-version-check")
    run_program(folder / "venv" / "bin" / "pip", "install", *options, ROOT, cwd=folder)
    (site_packages(folder / "venv") / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "venv"


def site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


class InstalledProgram(Program):
    """The installed command `scheduler` in a folder, which gets the state of the user, too."""

    def __init__(self, environment: Path, folder: Path, *words: str) -> None:
        environ = {"PYTHONPATH": str(GUARDED), "XDG_STATE_HOME": str(folder / "state")}
        super().__init__(env=environ, cwd=folder)
        self._command = [str(environment / "bin" / "scheduler"), *words]


def test_one_package_is_installed(environment: Path) -> None:
    names = {path.name for path in site_packages(environment).iterdir() if "cache" not in path.name}
    of_venv = ("pip", "setuptools", "pkg_resources", "_distutils", "dist", "dependencies.pth")
    version = read_source_version(ROOT).version
    assert {name for name in names if not name.startswith(of_venv)} == {PACKAGE, f"{PACKAGE}-{version}.dist-info"}


def test_the_version_is_that_of_the_working_copy(environment: Path, tmp_path: Path) -> None:
    expected = f"scheduler {read_source_version(ROOT).version}\n"
    assert run_program(environment / "bin" / "scheduler", "--version", cwd=tmp_path) == expected
    assert run_program(environment / "bin" / "python", "-m", PACKAGE, "--version", cwd=tmp_path) == expected


def test_a_missing_dependency_is_one_sentence_with_what_to_do(environment: Path, tmp_path: Path) -> None:
    words = [environment / "bin" / "python", "-S", "-c", START.format(path=str(site_packages(environment)))]
    done = subprocess.run(words, cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"the package \w+ is not installed .*\ninstall the scheduler again, .*\n", done.stderr)


START = "import sys; sys.path.append({path!r}); from azure_job_scheduler.__main__ import main; sys.exit(main())"


def test_a_command_without_a_server_lists_the_sample_jobs(environment: Path, tmp_path: Path) -> None:
    assert "containerAppHealth" in run_program(environment / "bin" / "scheduler", "jobs", cwd=tmp_path)


async def test_the_command_serves_the_sample_jobs_from_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    words = ("serve", "--port", str(port), "--processes", "2")
    async with InstalledProgram(environment, tmp_path, *words) as program:
        await program.ready(f"{url}/health/ready")
        async with asyncio.timeout(60):
            while not any(run["outcome"] == "succeeded" for run in (await get(f"{url}/runs"))["runs"]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        health = await get(f"{url}/health")
        program.signal(signal.SIGINT)
        assert await program.exited() == 0
    assert health["version"] == read_source_version(ROOT).version
    assert f"state and history: {tmp_path / 'state' / 'scheduler'} " in program.stderr
    assert os.listdir(tmp_path) == ["state"]


async def get(url: str) -> Any:
    def read() -> Any:
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)

    return await asyncio.to_thread(read)


def test_child_processes_find_the_packages(environment: Path, tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(site_packages(environment) / PACKAGE / "tree")!r})
from scheduler.processes.process import COMMAND, _environment
import subprocess
from jobs.judging.process import _environment as of_judging
for module, environ in (("scheduler.processes.child", _environment()), ("jobs.judging.child", of_judging())):
    subprocess.run([sys.executable, "-S", "-P", "-c", f"import {{module}}"], env=environ, check=True)
"""
    run_program(environment / "bin" / "python", "-c", script, cwd=tmp_path)


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, unpacked."""
    folder = tmp_path_factory.mktemp("sources")
    with tarfile.open(folder / build_sdist(str(folder))) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"{PACKAGE}-{read_source_version(ROOT).version}"


def build(root: Path, target: Path) -> Path:
    """Build the wheel of the sources in this folder, as pip does."""
    target.mkdir()
    paths = [str(root / "infra" / name) for name in ("packaging", "pipeline")]
    call = f"import sys; sys.path[:0] = {paths!r}; from build_backend import build_wheel; build_wheel({str(target)!r})"
    run_program(sys.executable, "-P", "-c", call, cwd=root)
    (wheel,) = target.iterdir()
    return wheel


def test_the_wheel_of_the_source_archive_is_that_of_the_working_copy(unpacked: Path, tmp_path: Path) -> None:
    of_archive, of_copy = build(unpacked, tmp_path / "archive"), build(ROOT, tmp_path / "copy")
    assert of_archive.name == of_copy.name
    assert of_archive.read_bytes() == of_copy.read_bytes()


def test_the_wheel_contains_no_jobs_of_this_machine(unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "config" / "jobs" / "mine.yaml").write_text("jobs: {}\n")
    try:
        names = zipfile.ZipFile(build(unpacked, tmp_path / "wheel")).namelist()
    finally:
        (unpacked / "config" / "jobs" / "mine.yaml").unlink()
    jobs = [name for name in names if "/config/jobs/" in name]
    assert [name.rpartition("/")[2] for name in jobs] == ["health.json", "outcomes.yaml"]
    assert not any("__pycache__" in name for name in names)


def test_the_metadata_is_valid_and_names_the_requirements(unpacked: Path) -> None:
    content = (unpacked / "PKG-INFO").read_bytes()
    found = Metadata.from_email(content, validate=True)
    requirements = [line for line in message_from_bytes(content).get_all("Requires-Dist", []) if line]
    assert (found.name, str(found.version)) == ("azure-job-scheduler", read_source_version(ROOT).version)
    assert list(map(str, found.requires_dist or ())) == [str(Requirement(each)) for each in requirements]
    assert any(each.startswith("uvicorn") for each in requirements)


def test_the_drivers_of_databases_are_an_extra(unpacked: Path) -> None:
    found = Metadata.from_email((unpacked / "PKG-INFO").read_bytes(), validate=True)
    drivers = [each.name for each in found.requires_dist or () if each.marker == Marker("extra == 'databases'")]
    assert found.provides_extra == ["databases"]
    assert drivers == ["pg8000", "pymysql", "python-tds", "redis"]


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"XDG_STATE_HOME": "/state"}, "linux", "/state/scheduler"),
        ({"XDG_STATE_HOME": "relative"}, "linux", "/me/.local/state/scheduler"),
        ({}, "darwin", "/me/.local/state/scheduler"),
        ({"LOCALAPPDATA": "/users/me/local", "XDG_STATE_HOME": "/state"}, "win32", "/users/me/local/scheduler"),
    ],
)
def test_state_is_in_a_folder_of_the_user(
    environ: dict[str, str], platform: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure_job_scheduler.__main__ import find_state_folder

    monkeypatch.setenv("HOME", "/me")
    assert find_state_folder(environ, platform) == expected
