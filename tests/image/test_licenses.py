"""The licenses of what is in the image, and which ones are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.project import ROOT
from tests.project.test_requirements import pinned
from tools.image.licenses import EXCEPTIONS, PackageLicense, find_refused, read_licenses
from tools.sbom import write_sbom


@pytest.fixture(scope="module")
def installed() -> list[PackageLicense]:
    """The licenses of the packages that the program needs on this Python."""
    names = pinned("requirements.txt", "{}.{}".format(*sys.version_info)).keys()
    return [each for each in read_licenses(distributions()) if each.name in names]


def test_no_package_of_the_program_is_refused(installed: list[PackageLicense]) -> None:
    assert len(installed) > 100
    assert list(find_refused(installed)) == []


def test_each_exception_is_a_package_of_the_program_with_that_license(installed: list[PackageLicense]) -> None:
    licenses = {each.name: each.license for each in installed}
    assert {name: licenses.get(name) for name in EXCEPTIONS} == {name: one[0] for name, one in EXCEPTIONS.items()}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("License-Expression: Apache-2.0 AND MIT", None),
        ("License-Expression: GPL-3.0-only OR MIT", None),
        ("License: Copyright of someone\nClassifier: License :: OSI Approved :: BSD License", None),
        ("License: MIT", None),
        ("License-Expression: AGPL-3.0-or-later", "AGPL-3.0-or-later"),
        ("License-Expression: MIT AND GPL-2.0-only", "MIT AND GPL-2.0-only"),
        ("License: SSPL", "SSPL"),
        ("License-Expression: LGPL-3.0-or-later", "LGPL-3.0-or-later"),
        (
            "Classifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
            "GNU Affero General Public License v3 AND MIT License",
        ),
        ("Summary: nothing about it", "unknown"),
    ],
)
def test_a_license_that_is_not_permitted_is_refused(fields: str, expected: str | None, tmp_path: Path) -> None:
    write_distribution(tmp_path, fields)
    refused = list(find_refused(read_licenses(distributions(path=[str(tmp_path)]))))
    assert len(refused) == (expected is not None)
    assert all(sentence.startswith(f"some-thing 1.0 has the license {expected}: ") for sentence in refused)


def write_distribution(folder: Path, fields: str) -> None:
    (folder / "some_thing-1.0.dist-info").mkdir()
    metadata = f"Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.0\n{fields}\n"
    (folder / "some_thing-1.0.dist-info" / "METADATA").write_text(metadata)


def test_a_refused_license_ends_the_build_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "program").mkdir()
    write_distribution(tmp_path / "packages", "License: Commercial")
    words = ["packages", "program", "layers", "--packages-path", "packages", "--program-path", "program"]
    command = [sys.executable, "-m", "tools.image.assemble", *words]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("some-thing 1.0 has the license Commercial: ")


def test_the_list_of_components_has_licenses(tmp_path: Path) -> None:
    write_sbom(tmp_path / "sbom.json", "1.2.3")
    components = json.loads((tmp_path / "sbom.json").read_text())["components"]
    found = {each["name"]: each["licenses"][0]["license"]["name"] for each in components if "licenses" in each}
    assert found["x-wr-timezone"] == "LGPL-3.0-or-later"
    assert found["fastapi"] == "MIT"
