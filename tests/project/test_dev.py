"""`./dev`: the commands by calling it, finding Pythons and keeping environments by loading it as a module."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests import lanes, line_coverage, needed_parts, time_limits
from tests.outcomes import Tally
from tests.project import ROOT

COMMANDS = (
    *("run", "test", "check", "cli", "fmt", "layout", "openapi", "names", "infra", "image", "sbom"),
    *("rehearsal", "lock", "bench"),
)
HERE = sys.version_info[:2]
LOADED = (
    *(f"tests/{name}.py" for name in ("lanes", "line_coverage", "needed_parts", "outcomes", "time_limits")),
    "tools/npm/locked.py",
)
"""What `./dev` imports itself, on a Python without packages."""


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The task runner as a module whose project is an empty folder with requirements files."""
    loader = importlib.machinery.SourceFileLoader("dev", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader("dev", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-setup.txt"):
        (tmp_path / name).write_text(f"# {name}\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


@pytest.fixture
def installs(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Every installation that happens: which file, and whether into a new environment."""
    made: list[tuple[str, bool]] = []

    def install(folder: Path, requirements: str, python: str, anew: bool) -> None:
        folder.mkdir(exist_ok=True)
        made.append((requirements, anew))

    monkeypatch.setattr(dev, "install", install)
    return made


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ROOT / "dev"), *arguments], text=True, capture_output=True, timeout=20)


def script(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_without_a_command_it_lists_them_all() -> None:
    listed = [line.split()[0] for line in call().stdout.splitlines() if line.startswith("  ")]
    assert listed == list(COMMANDS)


def test_a_command_that_is_missing_is_refused_with_those_that_are() -> None:
    done = call("tets")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert all(name in done.stderr for name in COMMANDS)


def test_a_bench_that_is_missing_is_refused() -> None:
    assert call("bench", "nonsense").returncode == 2


def test_it_is_executable_and_requests_nothing_but_python() -> None:
    assert os.access(ROOT / "dev", os.X_OK)
    imported = {
        name.partition(".")[0]
        for file in ("dev", *LOADED)
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported - sys.stdlib_module_names == {"tests", "tools", "pytest"}  # pytest: for annotations


def test_an_old_python_can_read_far_enough_to_report_what_is_wrong() -> None:
    ast.parse((ROOT / "dev").read_text(), feature_version=(3, 8))


def test_a_shim_that_refuses_to_run_is_passed_over(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "python{}.{}".format(*HERE)
    script(tmp_path / "shims", name, "echo 'not installed here' >&2; exit 127")
    script(tmp_path / "bin", name, f'exec "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{tmp_path / 'bin'}")
    assert list(dev.pythons_on_path(HERE)) == [sys.executable]


def test_a_python_of_another_version_under_a_wrong_name_is_passed_over(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin", "python3.99", f'exec "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert list(dev.pythons_on_path((3, 99))) == []


def test_an_unsupported_python_hands_over_to_a_supported_one(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin", "python{}.{}".format(*HERE), f'exec "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    monkeypatch.setattr(sys, "argv", ["dev", "test", "-k", "retry"])
    become: list[list[str]] = []

    def execve(path: str, words: list[str], env: dict[str, str]) -> None:
        become.append(words)
        raise SystemExit

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(SystemExit):
        dev.run_on_a_supported_python()
    assert become == [[sys.executable, str(ROOT / "dev"), "test", "-k", "retry"]]


def test_an_unsupported_python_alone_is_reported_what_is_needed(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit):
        dev.run_on_a_supported_python()
    assert "this is Python 3.10, the project needs 3.11, 3.12 or 3.13" in capsys.readouterr().err


def test_an_environment_that_is_up_to_date_is_left_alone(dev: ModuleType, installs: list[tuple[str, bool]]) -> None:
    dev.environment(".venv", "requirements.txt")
    dev.environment(".venv", "requirements.txt")
    assert installs == [("requirements.txt", True)]


def test_an_environment_for_development_serves_for_running_too(
    dev: ModuleType, installs: list[tuple[str, bool]]
) -> None:
    dev.environment(".venv", "requirements-dev.txt")
    dev.environment(".venv", "requirements.txt")
    assert installs == [("requirements-dev.txt", True)]


def test_an_environment_for_running_is_completed_for_development(
    dev: ModuleType, installs: list[tuple[str, bool]]
) -> None:
    dev.environment(".venv", "requirements.txt")
    dev.environment(".venv", "requirements-dev.txt")
    assert installs == [("requirements.txt", True), ("requirements-dev.txt", False)]


def test_changed_requirements_are_installed(dev: ModuleType, installs: list[tuple[str, bool]], tmp_path: Path) -> None:
    dev.environment(".venv", "requirements.txt")
    (tmp_path / "requirements.txt").write_text("# other\n")
    dev.environment(".venv", "requirements.txt")
    assert installs == [("requirements.txt", True), ("requirements.txt", False)]


def test_the_environment_of_another_folder_is_not_replaced_through_a_link(
    dev: ModuleType, installs: list[tuple[str, bool]], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (dev.ROOT / ".venv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SystemExit):
        dev.environment(".venv", "requirements.txt")
    assert installs == []


def test_another_python_gets_a_new_environment(dev: ModuleType, installs: list[tuple[str, bool]]) -> None:
    dev.environment(".venv", "requirements.txt")
    dev.environment(".venv", "requirements.txt", "/usr/bin/another-python")
    assert installs == [("requirements.txt", True), ("requirements.txt", True)]


def test_an_installation_that_fails_is_tried_again(
    dev: ModuleType, installs: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SystemExit(1)

    with monkeypatch.context() as patch:
        patch.setattr(dev, "install", refuse)
        with pytest.raises(SystemExit):
            dev.environment(".venv", "requirements.txt")
    dev.environment(".venv", "requirements.txt")
    assert installs == [("requirements.txt", True)]


def test_pip_takes_over_where_uv_fails(dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin", "uv", '[ "$1" = --version ]')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    used: list[str] = []
    monkeypatch.setattr(dev, "install_with_pip", lambda folder, requirements, python, anew: used.append(requirements))
    dev.install(tmp_path / ".venv", "requirements.txt", sys.executable, anew=True)
    assert used == ["requirements.txt"]


class Installer:
    """Plays a Python whose pip has this configuration and installs, or not, a uv that creates environments."""

    def __init__(self, dev: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._dev, self._folder, self._monkeypatch = dev, folder, monkeypatch
        self.calls = folder / "calls.txt"
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        monkeypatch.setattr(dev, "install_with_pip", self._with_pip)

    def _with_pip(self, *_: Any) -> None:
        with self.calls.open("a") as calls:
            calls.write("installed with pip\n")

    def install(self, *, configuration: str = "", works: bool = True) -> list[str]:
        """Install an environment; what was called for it."""
        uv = script(self._folder, "uv.sh", f'echo "uv $1 $2" >> {self.calls}')
        place = f'cp {uv} "$(dirname "$0")/uv"' if works else "exit 1"
        pip = script(
            self._folder,
            "pip.sh",
            f'echo "pip $3 $4" >> {self.calls}\ncase "$3" in config) echo "{configuration}";; *) {place};; esac',
        )
        venv = f'mkdir -p "$4/bin" && cp {pip} "$4/bin/python"'
        self._dev.install(
            self._folder / ".venv", "requirements.txt", str(script(self._folder, "python", venv)), anew=True
        )
        return self.calls.read_text().splitlines()


@pytest.fixture
def installer(dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    return Installer(dev, tmp_path, monkeypatch)


def test_pip_installs_a_uv_where_none_is_on_the_path_and_this_one_the_rest(installer: Installer) -> None:
    assert installer.install() == ["pip config list", "pip install --quiet", "uv venv --quiet", "uv pip sync"]


def test_a_uv_is_installed_once(installer: Installer) -> None:
    before = installer.install()
    assert installer.install()[len(before) :] == ["uv venv --quiet", "uv pip sync"]


def test_pip_installs_all_where_its_configuration_names_an_index(installer: Installer) -> None:
    expected = ["pip config list", "installed with pip"]
    assert installer.install(configuration="global.index-url='https://mirror.example'") == expected


def test_pip_installs_all_where_it_cannot_install_uv(installer: Installer) -> None:
    assert installer.install(works=False) == ["pip config list", "pip install --quiet", "installed with pip"]


@pytest.mark.parametrize(("installable", "ends"), [(True, False), (False, True)])
def test_a_python_without_ensurepip_is_fixed_by_its_package_or_reported_which_one_fixes_it(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installable: bool, ends: bool
) -> None:
    python = script(tmp_path, "python", 'case "$2" in *ensurepip*) exit 1;; *) echo 3.13;; esac')
    requested: list[str] = []

    def apt_install(package: str) -> bool:
        requested.append(package)
        return installable

    monkeypatch.setattr(dev, "apt_install", apt_install)
    reported: list[str] = []
    monkeypatch.setattr(dev, "fail", reported.append)
    dev.require_ensurepip(str(python))
    assert requested == ["python3.13-venv"]
    assert bool(reported) == ends
    assert all("apt-get install python3.13-venv" in text for text in reported)


def test_check_runs_everything_even_after_a_failure(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = tmp_path / "tools"
    for tool in ("ruff", "mypy", "lint-imports", "hadolint", "python"):
        script(tools, tool, "exit 1" if tool == "mypy" else "exit 0")
    monkeypatch.setattr(dev, "environment", lambda *_: tools / "python")
    monkeypatch.setattr(dev.shutil, "which", lambda _: None)
    assert dev.check([]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-1] for line in lines] == ["ok", "ok", "FAILED", "ok", "ok", "ok", "ok", "ok"]


def test_a_bench_is_listed_with_the_first_line_of_its_docstring(
    dev: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "run_cost.py").write_text('"""What a run costs.\n\nMore."""\n')
    assert dev.bench([]) == 0
    assert capsys.readouterr().out.split(maxsplit=1) == ["run-cost", "What a run costs.\n"]


class Ending:
    """Plays how each lane of `./dev test` ends, and gives the command's exit code."""

    def __init__(self, dev: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._dev, self._monkeypatch = dev, monkeypatch
        self.whole = False
        self.arguments = ["tests"]
        self.lanes: list[lanes.Lane] = []
        monkeypatch.setattr(dev, "REPORTS", folder / "reports")
        monkeypatch.setattr(dev, "environment", lambda *_: folder / "python")
        monkeypatch.setattr(dev, "python_of_worker", lambda python: python)
        monkeypatch.setattr(dev, "missing_parts", lambda _: [])
        monkeypatch.setattr(dev, "needed_parts", lambda *_: {"azurite", "worker"})
        monkeypatch.setattr(dev, "IN_CI", False)
        monkeypatch.setattr(line_coverage, "coverage_is_high_enough", lambda *_: True)

    def of(self, *tallies: Tally) -> int:
        """The first lane ends with the first tally, and so on; further lanes with the last one."""

        def run(chosen: list[lanes.Lane], *_: object, **__: object) -> list[Tally]:
            self.lanes = chosen
            return [tallies[min(position, len(tallies) - 1)] for position in range(len(chosen))]

        self._monkeypatch.setattr(lanes, "run", run)
        result: int = self._dev.test([] if self.whole else self.arguments)
        return result


@pytest.fixture
def ending(dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ending:
    return Ending(dev, tmp_path, monkeypatch)


def test_the_last_line_of_test_counts_what_happened(ending: Ending, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending.of(Tally(0, passed=6, skipped=1)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "total: 6 passed, 0 failed, 1 skipped, 0 did not run"


def test_a_failed_test_fails_the_command(ending: Ending, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending.of(Tally(1, passed=5, failed=2)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "total: 5 passed, 2 failed, 0 skipped, 0 did not run"


def test_an_interruption_prints_the_numbers_and_measures_no_coverage(
    ending: Ending, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(line_coverage, "coverage_is_high_enough", None)  # a call fails
    ending.whole = True
    assert ending.of(Tally(lanes.INTERRUPTED, passed=3, missed=("test_b",)), Tally(0, passed=1)) == 130
    assert "did not run: test_b" in capsys.readouterr().out


def test_a_selection_that_finds_no_test_fails(ending: Ending) -> None:
    assert ending.of(Tally(lanes.NOTHING_SELECTED)) == 1


def test_a_selection_may_be_empty_on_the_worker_alone(
    dev: ModuleType, ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "python_of_worker", lambda _: Path("another-python"))
    assert ending.of(Tally(0, passed=3), Tally(lanes.NOTHING_SELECTED)) == 0


def test_a_missing_part_is_reported_and_let_pass_at_a_client(
    dev: ModuleType, ending: Ending, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "missing_parts", lambda _: ["groovy from Debian: Jenkinsfile"])
    assert ending.of(Tally(0, passed=1)) == 0
    assert "MISSING on this machine, so tests were skipped: groovy" in capsys.readouterr().err


def test_a_missing_part_fails_in_ci(dev: ModuleType, ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "missing_parts", lambda _: ["groovy from Debian: Jenkinsfile"])
    monkeypatch.setattr(dev, "IN_CI", True)
    assert ending.of(Tally(0, passed=1)) == 1


def test_without_a_python_for_the_worker_ci_fails_and_a_client_runs_the_rest(
    dev: ModuleType, ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "python_of_worker", lambda _: None)
    ending.whole = True
    assert ending.of(Tally(0, passed=1)) == 0
    monkeypatch.setattr(dev, "IN_CI", True)
    assert ending.of(Tally(0, passed=1)) == 1


def test_all_tests_are_those_of_all_lanes(ending: Ending, capsys: pytest.CaptureFixture[str]) -> None:
    ending.whole = True
    assert ending.of(Tally(0, passed=7)) == 0
    total = f"total: {7 * len(ending.lanes)} passed, 0 failed, 0 skipped, 0 did not run"
    assert capsys.readouterr().out.splitlines()[-1] == total


def test_a_failed_test_among_all_fails_the_command(ending: Ending) -> None:
    ending.whole = True
    assert ending.of(Tally(0, passed=7), Tally(1, passed=6, failed=1), Tally(0, passed=1)) == 1


def test_a_low_coverage_fails_the_whole_suite_alone(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_coverage, "coverage_is_high_enough", lambda *_: False)
    assert ending.of(Tally(0, passed=1)) == 0
    ending.whole = True
    assert ending.of(Tally(0, passed=1)) == 1


def test_of_two_that_make_an_environment_one_waits(
    dev: ModuleType, installs: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    install, in_flight = dev.install, threading.Semaphore()

    def slowly(*arguments: Any, **more: Any) -> None:
        assert in_flight.acquire(blocking=False)
        time.sleep(0.05)
        install(*arguments, **more)
        in_flight.release()

    monkeypatch.setattr(dev, "install", slowly)
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(dev.environment, ".venv", "requirements.txt") for _ in range(2)]
    assert made[0].result() == made[1].result()
    assert installs == [("requirements.txt", True)]


def test_help_of_test_names_its_options_and_installs_nothing(dev: ModuleType, installs: list[tuple[str, bool]]) -> None:
    ended = call("test", "--help")
    assert ended.returncode == 0
    assert all(word in ended.stdout for word in ("--timeout-multiplier", time_limits.MULTIPLIER_VARIABLE, "pytest"))
    with pytest.raises(SystemExit):
        dev.test(["-h"])
    assert installs == []


def test_the_own_option_of_test_is_not_passed_on_to_pytest(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(time_limits.MULTIPLIER_VARIABLE, "1")
    ending.arguments = ["tests/jobs", "-k", "retry", "--timeout-multiplier", "2.5", "-x"]
    ending.of(Tally(0, passed=1))
    assert os.environ[time_limits.MULTIPLIER_VARIABLE] == "2.5"
    assert ending.lanes[0].arguments == ("tests/jobs", "-k", "retry", "-x")


def test_the_own_option_alone_runs_the_whole_suite(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(time_limits.MULTIPLIER_VARIABLE, "1")
    ending.arguments = ["--timeout-multiplier=3"]
    ending.of(Tally(0, passed=1))
    assert {"killed", "simulation"} <= {lane.name for lane in ending.lanes}


@pytest.mark.parametrize(
    ("needed", "installed", "lane_names"),
    [
        (set(), [], ["suite"]),
        ({"azurite", "chromium"}, ["azurite", "chromium"], ["suite"]),
        ({"worker"}, [], ["suite", "worker"]),
    ],
)
def test_a_selection_installs_what_its_tests_need_alone(
    dev: ModuleType,
    ending: Ending,
    monkeypatch: pytest.MonkeyPatch,
    needed: set[str],
    installed: list[str],
    lane_names: list[str],
) -> None:
    requested: list[str] = []
    monkeypatch.setattr(dev, "needed_parts", lambda *_: needed)
    monkeypatch.setattr(dev, "missing_parts", lambda names: requested.extend(names) or [])
    monkeypatch.setattr(dev, "python_of_worker", lambda _: Path("another-python"))
    ending.of(Tally(0, passed=1))
    assert (requested, [lane.name for lane in ending.lanes]) == (installed, lane_names)


def test_the_whole_suite_installs_every_part(dev: ModuleType, ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[str] = []
    monkeypatch.setattr(dev, "missing_parts", lambda names: requested.extend(names) or [])
    ending.whole = True
    ending.of(Tally(0, passed=1))
    assert requested == list(dev.PARTS)


def test_each_part_that_a_test_can_need_can_be_installed(dev: ModuleType) -> None:
    named = {*needed_parts.MARKED.values(), *needed_parts.USERS.values()}
    assert named - {needed_parts.WORKER} == dev.PARTS.keys()


def test_parts_that_cannot_be_installed_are_described(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "PARTS", {"a": (lambda: True, "a: tests"), "b": (lambda: False, "b: tests in a browser")})
    assert dev.missing_parts(["a", "b"]) == ["b: tests in a browser"]


def test_a_long_step_reports_that_it_goes_on(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "PROGRESS_DELAY", 0.0)
    monkeypatch.setattr(dev, "PROGRESS_INTERVAL", 0.01)
    reported = ""
    with dev.step("Installing npm"):
        while reported.count("Installing npm ... 0 s") < 2:
            reported += capsys.readouterr().err
            time.sleep(0.01)
    assert capsys.readouterr().err.endswith("Installing npm: ended after 0 s\n")


def test_a_short_step_reports_nothing(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "PROGRESS_DELAY", 3600.0)
    with dev.step("Installing npm"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("code", "shown"), [("0", ""), ("3", "Reading database\n")])
def test_the_held_output_of_a_tool_is_shown_if_it_fails(
    dev: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, shown: str
) -> None:
    tool = script(tmp_path, "tool", f"echo Reading database; exit {code}")
    assert dev.attempt(tool, "install", held=True) == (code == "0")
    assert capsys.readouterr().err == (f"{tool} install:\n{shown}" if shown else "")
