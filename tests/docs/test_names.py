"""What the documents name exists: settings with their defaults, variables, routes, files and modules."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from config.settings.layers import read_variable_layer
from config.settings.variables import WELL_KNOWN_VARIABLES
from jobs.definition.alerting_registry import PARTS_BY_KEY
from observability import names
from scheduler.api.app import ROUTERS
from scheduler.watchdog.report import WATCHDOG_GAUGES
from tests.docs.pages import ROOT, TEXTS, all_code, code

PACKAGES = "jobs|config|importers|observability|scheduler"
WRONG_ON_PURPOSE = {"SCHEDULER_LOG__LEVL"}
WRITTEN_BY_READERS = {"config/jobs/checkout.yaml", "config/jobs/shop.yaml"}


def leaves(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= leaves(value, f"{before}{key}.") if value and isinstance(value, dict) else {before + key: value}
    return found


BASE = yaml.safe_load((ROOT / "config/environments/base.yaml").read_text(encoding="utf-8"))
DEFAULTS = leaves(BASE)
"""Every setting; that this is all of them is tested beside config."""


def settings_table() -> dict[str, tuple[str, list[str]]]:
    """Of each setting its default and its variables, as docs/settings.md says."""
    section = TEXTS["docs/settings.md"].split("\n## Settings\n")[1].split("\n##")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in section.splitlines() if row[:3] == "| `"]
    return {row[0].strip("`"): (row[1].strip("`"), code(row[2])) for row in rows}


def test_the_page_lists_every_setting_with_its_default() -> None:
    defaults = {name: as_written(value) for name, value in DEFAULTS.items()}

    assert {name: default for name, (default, _) in settings_table().items()} == defaults


def as_written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if value == {}:
        return "none"
    return {None: "none", True: "true", False: "false"}.get(value, str(value))


def test_the_page_lists_every_variable_of_a_setting() -> None:
    others: dict[str, list[str]] = {}
    for variable, path in WELL_KNOWN_VARIABLES.items():
        others.setdefault(".".join(map(str, path)), []).append(variable)
    variables = {name: [f"SCHEDULER_{name.replace('.', '__').upper()}", *others.get(name, [])] for name in DEFAULTS}

    assert {name: found for name, (_, found) in settings_table().items()} == variables


def named_settings() -> set[str]:
    groups = "|".join(name for name, value in BASE.items() if isinstance(value, dict))
    parts = {f"alerting.{key}" for key in PARTS_BY_KEY}  # of the section of job files
    return {piece for piece in all_code() if re.fullmatch(rf"({groups})\.[a-z_]+", piece)} - parts


@pytest.mark.parametrize("name", sorted(named_settings()))
def test_a_setting_that_is_named_exists(name: str) -> None:
    assert name in DEFAULTS


def named_variables() -> set[str]:
    files = ("Dockerfile", "Jenkinsfile", "local.settings.json.example", "config/environments/base.yaml")
    texts = [*TEXTS.values(), *((ROOT / file).read_text(encoding="utf-8") for file in files)]
    found = {name for text in texts for name in re.findall(r"\bSCHEDULER_[A-Z_]*[A-Z]", text)}
    return {name for name in found if not name.startswith("SCHEDULER_TEST_")}  # those of ./dev test


@pytest.mark.parametrize("name", sorted(named_variables() - WRONG_ON_PURPOSE))
def test_a_variable_that_is_named_exists(name: str) -> None:
    if name == "SCHEDULER_SECRET":
        name = "SCHEDULER_SECRET_ANY"
    value = str(ROOT / "pyproject.toml") if name.endswith("_FILE") else "x"
    _, problems = read_variable_layer({name: value}, "dev", ROOT)

    assert problems == []


def named_routes() -> set[tuple[str, str]]:
    """`/api/health`, `GET /api/runs`, `POST /api/jobs/JOB/run?wait=10s`."""
    form = re.compile(r"(?:(GET|POST) )?(/api(?:/[\w{}.@-]*)*)(?:\?\S*)?")
    found = (form.fullmatch(piece) for piece in all_code())
    return {(match[1] or "GET", match[2]) for match in found if match}


@pytest.mark.parametrize(("method", "path"), sorted(named_routes()))
def test_a_route_that_is_named_exists(method: str, path: str) -> None:
    known: list[Any] = [route for router in ROUTERS for route in router.build_routes()]
    assert any(route.path_regex.match(path) and method in route.methods for route in known)


def named_places() -> set[str]:
    """Files and folders, such as `jobs/ports.py`, and modules, such as `scheduler.app`."""
    file, module = rf"({PACKAGES}|bench|docs|tests)(/[\w.-]+)+/?", rf"({PACKAGES})(\.\w+)+"
    not_modules = {each.name for each in (*names.METRICS, *map(names.gauge_metric, WATCHDOG_GAUGES), *names.OTHERS)}
    return {piece for piece in all_code() if re.fullmatch(f"{file}|{module}", piece)} - not_modules


@pytest.mark.parametrize("place", sorted(named_places() - WRITTEN_BY_READERS))
def test_a_file_or_module_that_is_named_exists(place: str) -> None:
    path = ROOT / (place if "/" in place else place.replace(".", "/"))
    assert path.exists() or path.with_suffix(".py").exists()
