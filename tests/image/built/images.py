"""Builds the images by infra/pipeline/image, from copies of the working copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image.built.bases import FUNCTIONS_BASE, PYTHON_BASE
from tests.image.built.workshop import Workshop
from tests.project import ROOT

BASES = {"functions": FUNCTIONS_BASE, "embedded": PYTHON_BASE}
VERSION, REVISION = "0.9.9+7.gabcdefabcdef", "abcdefabcdef0123456789abcdefabcdef012345"


@dataclass(frozen=True)
class BuiltImage:
    """An image. `folder`: where it was built, with image.json."""

    workshop: Workshop
    target: str
    folder: Path
    name: str

    def inspect(self) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.workshop.read("podman", "image", "inspect", self.name))
        return found[0]

    @property
    def layers(self) -> list[str]:
        """The digests of the unpacked layers, those of the base included."""
        found: list[str] = self.inspect()["RootFS"]["Layers"]
        return found

    def step(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of infra/pipeline/image on this image."""
        script = self.folder / "infra/pipeline/image"
        return self.workshop.run(sys.executable, script, *words, cwd=self.folder, check=check)


def copy_sources(folder: Path, *, mode: int, age: int) -> Path:
    """Copy what git tracks or would add, with these modes and file times, as another checkout could have them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.check_output(command, cwd=ROOT, text=True).split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(mode)
            os.utime(target, (age, age))
    return folder


def build_image(workshop: Workshop, target: str, sources: Path, *, cache: bool = False) -> BuiltImage:
    """Build from these sources; without `cache` each step is repeated."""
    words = ["build", "--engine", "buildah", "--target", target, "--base-image", BASES[target], "--no-pull"]
    words += [] if cache else ["--no-cache"]
    version = ("--version", VERSION, "--revision", REVISION)
    workshop.run(sys.executable, sources / "infra/pipeline/image", *words, *version, cwd=sources)
    record = json.loads((sources / "image.json").read_text())
    name = f"{record['local']}.{sources.name}"
    workshop.run("buildah", "tag", record["local"], name)
    folder = workshop.folder / f"{target}-{sources.name}"
    folder.mkdir()
    for path in ("infra", "dev", "scheduler", "image.json"):
        (shutil.copytree if (sources / path).is_dir() else shutil.copy)(sources / path, folder / path)
    return BuiltImage(workshop, target, folder, name)
