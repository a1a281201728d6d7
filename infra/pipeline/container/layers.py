"""Measures what an image adds to its base, by layer. Called by the command `size`."""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container.commands import Commands
from container.errors import InvalidUse, StepFailed
from container.record import ImageRecord

MAX_MEGABYTES = 150
"""Over the base, unpacked."""
FIRST_OWN_STEP = "useradd "
"""In the first step of the last stage of both images."""
_STEP_LENGTH = 60


@dataclass(frozen=True)
class LayerSize:
    """`step`: the start of the instruction that made the layer. `bytes`: of its files, unpacked."""

    step: str
    bytes: int
    files: int

    def __str__(self) -> str:
        return f"{self.bytes / 1e6:>8.1f} MB {self.files:>7,} files  {self.step}"


def measure(record: ImageRecord, commands: Commands) -> list[LayerSize]:
    """Return the layers of the image above its base."""
    if record.engine == "acr":
        raise InvalidUse("the registry built this image: pull it and measure it with docker or buildah.")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        if record.engine == "docker":
            commands.read("docker", "save", "--output", str(archive), record.local)
        else:
            commands.read("buildah", "push", "--quiet", record.local, f"docker-archive:{archive}")
        return read_archive(archive)


def read_archive(archive: Path) -> list[LayerSize]:
    """Return the layers above the base of an archive as `docker save` and Buildah write it."""
    with tarfile.open(archive) as files:
        manifest = json.loads(_read(files, "manifest.json"))[0]
        config = json.loads(_read(files, manifest["Config"]))
        steps = [str(each.get("created_by", "")) for each in _with_layer(config)]
        if len(steps) != len(manifest["Layers"]):
            raise StepFailed(f"the image has {len(manifest['Layers'])} layers and {len(steps)} steps that made some.")
        own = next((number for number, step in enumerate(steps) if FIRST_OWN_STEP in step), None)
        if own is None:
            raise StepFailed("none of the image's steps is the first one of the Dockerfile's last stage.")
        named = zip(steps[own:], manifest["Layers"][own:], strict=True)
        return [_measure_layer(files, step, layer) for step, layer in named]


def _with_layer(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (each for each in config["history"] if not each.get("empty_layer"))


def _measure_layer(files: tarfile.TarFile, step: str, name: str) -> LayerSize:
    member = files.extractfile(name)
    with tarfile.open(fileobj=member) as layer:
        sizes = [each.size for each in layer if each.isfile()]
    return LayerSize(_shorten(step), sum(sizes), len(sizes))


def _shorten(step: str) -> str:
    text = step.partition("#(nop) ")[2] or step.rpartition("/bin/sh -c ")[2]
    return text if len(text) <= _STEP_LENGTH else f"{text[: _STEP_LENGTH - 4]} ..."


def _read(files: tarfile.TarFile, name: str) -> bytes:
    member = files.extractfile(name)
    if member is None:
        raise StepFailed(f"the archive of the image has no {name}.")
    return member.read()
