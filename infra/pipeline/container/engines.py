"""Builds and pushes an image: by Docker, by Buildah, or by a registry of Azure for agents with neither.

The Dockerfile makes layers of packages and program that depend on their contents alone, so each engine makes the same
ones. Buildah gives deleted files of the base a fixed time as well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from container.commands import Commands
from container.errors import InvalidUse, StepFailed

FILE_TIME = 315532800
"""1980-01-01, in Unix seconds, as in tools/image/assemble.py. The time of the commit would change each layer."""


@dataclass(frozen=True)
class BuildOrder:
    """What to build: `target` is a stage of the Dockerfile, empty for the last one."""

    local: str
    target: str
    arguments: Mapping[str, str]
    pull: bool = True
    cache: bool = True

    def options(self) -> list[str]:
        words = [word for name, value in self.arguments.items() for word in ("--build-arg", f"{name}={value}")]
        return [*words, *(("--target", self.target) if self.target else ())]


class Engine(Protocol):
    """A way to build images."""

    def build(self, order: BuildOrder) -> None:
        """Build the image under its local name; nothing leaves the machine of the build."""
        ...

    def push(self, order: BuildOrder, repository: str, tags: Sequence[str]) -> str:
        """Push the image with these tags, and return its digest."""
        ...


class Docker:
    """`docker build`."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def build(self, order: BuildOrder) -> None:
        options = [*(["--pull"] if order.pull else []), *([] if order.cache else ["--no-cache"])]
        self._commands.run("docker", "build", *options, *order.options(), "--tag", order.local, ".")

    def push(self, order: BuildOrder, repository: str, tags: Sequence[str]) -> str:
        for tag in tags:
            self._commands.run("docker", "tag", order.local, f"{repository}:{tag}")
            self._commands.run("docker", "push", f"{repository}:{tag}")
        if self._commands.dry_run:
            return ""
        names = self._commands.read(
            "docker", "inspect", "--format", '{{join .RepoDigests "\\n"}}', f"{repository}:{tags[0]}"
        )
        return _digest_of(repository, names)


class Buildah:
    """`buildah build`. The format is Docker's, because the other one has no HEALTHCHECK."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def build(self, order: BuildOrder) -> None:
        caching = ("--layers",) if order.cache else ("--layers", "--no-cache")
        pull = "--pull=newer" if order.pull else "--pull=never"
        options = (pull, "--format", "docker", *caching, "--timestamp", str(FILE_TIME), *order.options())
        self._commands.run("buildah", "build", *options, "--tag", order.local, ".")

    def push(self, order: BuildOrder, repository: str, tags: Sequence[str]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "digest")
            for tag in tags:
                to = f"docker://{repository}:{tag}"
                self._commands.run("buildah", "push", "--digestfile", str(file), order.local, to)
            return "" if self._commands.dry_run else file.read_text().strip()


class AzureRegistry:
    """`az acr build`. The registry builds: without a push to check the Dockerfile, and again to push."""

    def __init__(self, commands: Commands, repository: str) -> None:
        host, _, self._name = repository.partition("/")
        if not self._name:
            raise InvalidUse("the engine acr needs --repository REGISTRY.azurecr.io/NAME: that registry builds.")
        self._commands = commands
        self._registry = host.partition(".")[0]

    def build(self, order: BuildOrder) -> None:
        self._build(order, "--no-push")

    def push(self, order: BuildOrder, repository: str, tags: Sequence[str]) -> str:
        self._build(order, *(word for tag in tags for word in ("--image", f"{self._name}:{tag}")))
        if self._commands.dry_run:
            return ""
        image = f"{self._name}:{tags[0]}"
        query = ("--name", self._registry, "--image", image, "--query", "digest", "--output", "tsv")
        return self._commands.read("az", "acr", "repository", "show", *query)

    def _build(self, order: BuildOrder, *options: str) -> None:
        words = ("--registry", self._registry, "--platform", "linux/amd64", *options, *order.options())
        self._commands.run("az", "acr", "build", *words, ".")


def _digest_of(repository: str, names: str) -> str:
    for name in names.split():
        if name.startswith(f"{repository}@sha256:"):
            return name.partition("@")[2]
    raise StepFailed(f"docker does not know the digest of {repository}: it has {names or 'none'}.")


ENGINES = ("docker", "buildah", "acr")


def create_engine(name: str, commands: Commands, repository: str) -> Engine:
    match name:
        case "docker":
            return Docker(commands)
        case "buildah":
            return Buildah(commands)
        case _:
            return AzureRegistry(commands, repository)


def find_engine(commands: Commands) -> str:
    """Return the engine of this machine: Docker with a running engine, else Buildah, else the registry by the CLI."""
    if commands.has("docker"):
        try:
            commands.read("docker", "info", "--format", "{{.ServerVersion}}")
        except StepFailed:
            pass
        else:
            return "docker"
    for program, engine in (("buildah", "buildah"), ("az", "acr")):
        if commands.has(program):
            return engine
    raise InvalidUse("neither Docker with a running engine, nor Buildah, nor the Azure CLI is installed.")
