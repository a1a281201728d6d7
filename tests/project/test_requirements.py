"""The requirements files say what pyproject.toml asks for, exactly and with hashes."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import distributions, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project import ROOT

FILES = ("requirements.txt", "requirements-databases.txt", "requirements-dev.txt")
LOCKED = (*FILES, "requirements-setup.txt", "tools/infra/requirements.txt")
PYTHONS = ("3.11", "3.12", "3.13")
OURS = ("jobs", "config", "importers", "scheduler", "observability")


def pins(file: str) -> list[Requirement]:
    """The requirements of a file, in order, without their hashes."""
    lines = (ROOT / file).read_text().splitlines()
    return [Requirement(line.removesuffix("\\").strip()) for line in lines if re.match(r"[a-z0-9]", line)]


def pinned(file: str, python: str) -> dict[str, str]:
    """Version by name, as installed on this Python under Linux."""
    environment = {"python_version": python, "python_full_version": f"{python}.4", "sys_platform": "linux"}
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins(file)
        if pin.marker is None or pin.marker.evaluate(environment)
    }


def expected(python: str, *, development: bool) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = [*project["project"]["dependencies"], *(project["dependency-groups"]["dev"] if development else ())]
    requirements = map(Requirement, texts)
    environment = {"python_version": python, "sys_platform": "linux"}
    return [one for one in requirements if one.marker is None or one.marker.evaluate(environment)]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("file", FILES)
def test_the_pins_satisfy_pyproject_on_every_supported_python(file: str, python: str) -> None:
    versions = pinned(file, python)
    for requirement in expected(python, development=file == "requirements-dev.txt"):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_a_pin_names_the_extras_that_others_request_it_for() -> None:
    """Otherwise pip does not take it for the pin of what is asked, and refuses all once there is a newer version."""
    extras = {canonicalize_name(pin.name): pin.extras for pin in pins("requirements-dev.txt")}
    requested = [Requirement(text) for one in distributions() for text in one.requires or ()]
    for requirement in requested:
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if requirement.extras and applies:
            assert requirement.extras <= extras[canonicalize_name(requirement.name)], requirement


@pytest.mark.parametrize("python", PYTHONS)
def test_development_runs_on_the_versions_that_production_runs_on(python: str) -> None:
    runtime = pinned("requirements.txt", python)
    assert runtime.items() <= pinned("requirements-dev.txt", python).items()


@pytest.mark.parametrize("file", LOCKED)
def test_every_pin_is_exact_and_has_a_hash(file: str) -> None:
    text = (ROOT / file).read_text()
    assert all(re.fullmatch(r"==[^=*,]+", str(pin.specifier)) for pin in pins(file))
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    assert len(blocks) == len(pins(file))
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize("file", LOCKED)
def test_no_requirement_names_an_index_or_an_address(file: str) -> None:
    text = (ROOT / file).read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.M)


@functools.cache
def distributions_by_module() -> Mapping[str, list[str]]:
    return packages_distributions()


def imported(*places: str) -> set[str]:
    """Top-level modules that the Python files in these places import from elsewhere."""
    files = [
        file for place in places for file in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
    ]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return (
        {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {*OURS, "bench", "tests", "function_app"}
    )


@pytest.mark.parametrize(
    ("places", "development"),
    [((*OURS, "function_app.py"), False), (("tests", "bench"), True)],
    ids=["program", "tests"],
)
def test_every_imported_library_is_requested_by_name(places: tuple[str, ...], development: bool) -> None:
    """One that only comes along with another may be gone with that one's next version."""
    declared = {canonicalize_name(one.name) for python in PYTHONS for one in expected(python, development=development)}
    brought_by = distributions_by_module()
    strangers = {
        name
        for name in imported(*places)
        if name in brought_by and declared.isdisjoint(map(canonicalize_name, brought_by[name]))
    }
    assert strangers == set()


def test_no_installed_distribution_ships_a_module_of_our_names() -> None:
    """On the Functions worker site-packages come before the app on sys.path, so theirs would be imported."""
    modules = distributions_by_module()
    assert {name: modules[name] for name in OURS if name in modules} == {}
