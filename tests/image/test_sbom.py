"""The list of components is what an image of that Python installs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.project.test_requirements import pinned
from tools.sbom import applicable_pins, image_python, write_sbom


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    file = tmp_path_factory.mktemp("sbom") / "sbom.json"
    write_sbom(file, "1.2.3+4.gabc")
    found: dict[str, object] = json.loads(file.read_text())
    return found


def test_the_components_are_the_pins_of_the_images_python(document: dict[str, list[dict[str, str]]]) -> None:
    components = {canonicalize_name(each["name"]): each["version"] for each in document["components"]}
    assert components == pinned("requirements.txt", image_python())
    assert all(each["purl"].startswith("pkg:pypi/") for each in document["components"])


def test_the_components_of_the_image_with_drivers_are_its_pins(tmp_path: Path) -> None:
    requirements = "requirements-databases.txt"
    write_sbom(tmp_path / "sbom.json", "1.2.3", requirements)
    components = json.loads((tmp_path / "sbom.json").read_text())["components"]
    assert {canonicalize_name(each["name"]): each["version"] for each in components} == pinned(
        requirements, image_python()
    )


def test_the_document_names_the_program_and_its_version(document: dict[str, dict[str, dict[str, str]]]) -> None:
    assert document["bomFormat"] == "CycloneDX"
    product = document["metadata"]["component"]
    assert (product["name"], product["version"]) == ("scheduler", "1.2.3+4.gabc")


def test_nothing_in_it_depends_on_the_time_of_its_making(document: dict[str, dict[str, str]]) -> None:
    assert "serialNumber" not in document
    assert document["metadata"]["timestamp"].startswith("1980-01-01")


def test_pins_of_other_pythons_and_systems_are_excluded() -> None:
    text = (
        "a==1 \\\n    --hash=sha256:0\n    # via x\n"
        "b==1 ; python_full_version < '3.13' \\\n    --hash=sha256:1\n"
        "b==2 ; python_full_version >= '3.13' \\\n    --hash=sha256:2\n"
        "c==1 ; sys_platform == 'win32' \\\n    --hash=sha256:3\n"
    )
    assert [block.split()[0] for block in applicable_pins(text, "3.13")] == ["a==1", "b==2"]
    assert [block.split()[0] for block in applicable_pins(text, "3.11")] == ["a==1", "b==1"]
