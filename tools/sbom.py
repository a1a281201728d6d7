"""Writes the list of the image's components as CycloneDX JSON: `./dev sbom`, which infra/pipeline/image sbom calls.

The components are the pins of a requirements file that apply to the Python of the image. The base image is not among
them: its publisher and a scanner of images list what it contains. Fails for a license that tools/image/licenses.py does
not permit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement

from tools.image.licenses import find_refused, normalize_name, read_licenses

ROOT = Path(__file__).resolve().parents[1]
_PYTHON = re.compile(r"^ARG BASE_IMAGE=.*-python(\d+\.\d+)$", re.MULTILINE)
_NEW_PIN = re.compile(r"\n(?=[A-Za-z0-9])")
TIME = "315532800"
"""1980-01-01 in Unix seconds, as the image has it: equal components make one file."""


def image_python(root: Path = ROOT) -> str:
    """Return the version of the Python in the base image that the Dockerfile names."""
    found = _PYTHON.search((root / "Dockerfile").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("the Dockerfile's BASE_IMAGE does not name a version of Python")
    return found[1]


def applicable_pins(text: str, python: str) -> Iterator[str]:
    """Yield the blocks of a requirements file, each a pin with its hashes, that apply to this Python on Linux."""
    values = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    values |= {"platform_system": "Linux", "os_name": "posix", "implementation_name": "cpython"}
    for block in _NEW_PIN.split(text.strip()):
        requirement = Requirement(block.partition(" \\")[0])
        if requirement.marker is None or requirement.marker.evaluate(values):
            yield block


def write_sbom(file: Path, version: str, requirements: str = "requirements.txt", root: Path = ROOT) -> None:
    """Write the file by cyclonedx-py."""
    text = (root / requirements).read_text(encoding="utf-8")
    pins = "\n".join(applicable_pins(text, image_python(root)))
    words = ("requirements", "--output-reproducible", "--spec-version", "1.6", "--output-file", str(file), "-")
    subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *words],
        input=pins,
        text=True,
        check=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": TIME},
    )
    _name_product(file, version)


def _name_product(file: Path, version: str) -> None:
    """Add the program itself, which has no package, and licenses; name components by package URL instead of line."""
    document = json.loads(file.read_text(encoding="utf-8"))
    licenses = {(each.name, each.version): each for each in read_licenses(distributions())}
    document["metadata"]["component"] = {
        "bom-ref": "scheduler",
        "type": "application",
        "name": "scheduler",
        "version": version,
        "licenses": [{"license": {"id": "MIT"}}],
    }
    for component in document["components"]:
        component["bom-ref"] = component["purl"]
        component.pop("description", None)
        # Of a pin for another Python than this one, the license is unknown here; the build of the image reads it.
        if found := licenses.get((normalize_name(component["name"]), component["version"])):
            component["licenses"] = [{"license": {"name": found.license}}]
            if refused := list(find_refused([found])):
                raise SystemExit(refused[0])
    refs = sorted(component["purl"] for component in document["components"])
    document["dependencies"] = [{"ref": "scheduler", "dependsOn": refs}]
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="./dev sbom", description="List the image's components.")
    parser.add_argument("--output", type=Path, default=Path("sbom.json"))
    parser.add_argument("--version", required=True)
    parser.add_argument("--requirements", default="requirements.txt", help="default: requirements.txt")
    read = parser.parse_args(words)
    write_sbom(read.output, read.version, read.requirements)


if __name__ == "__main__":
    main()
