"""Which repository an image is pushed to, and the sign-in to it."""

from __future__ import annotations

import json
import os

from container.commands import ROOT, Commands
from container.errors import InvalidUse

ENVIRONMENTS = ROOT / "infra" / "environments"
AZURE = ".azurecr.io"
NAME_OF_TARGET = {"functions": "scheduler", "embedded": "scheduler-embedded"}
_TOKEN_USER = "00000000-0000-0000-0000-000000000000"
"""The user name of a registry's access token."""


def find_repository(given: str, environment: str, target: str) -> str:
    """Return the repository: the given one, that of IMAGE_REPOSITORY, or the one in the registry of an environment."""
    if repository := given or os.environ.get("IMAGE_REPOSITORY", ""):
        return repository
    if not environment:
        raise InvalidUse("give --repository, or --environment with a name of infra/environments.")
    file = ENVIRONMENTS / f"{environment}.json"
    try:
        registry = str(json.loads(file.read_text(encoding="utf-8"))["registry"])
    except (OSError, ValueError, KeyError) as error:
        raise InvalidUse(f"{file} does not name a registry: {error!r}") from None
    host = registry if "." in registry or ":" in registry else f"{registry}{AZURE}"
    return f"{host}/{NAME_OF_TARGET[target]}"


def sign_in(repository: str, engine: str, commands: Commands) -> None:
    """Let the engine push to a registry of Azure, with the identity that the CLI has. Others are signed in already."""
    host = repository.partition("/")[0]
    if not host.endswith(AZURE) or engine == "acr":
        return
    name = host.removesuffix(AZURE)
    if engine == "docker":
        commands.run("az", "acr", "login", "--name", name)
        return
    _hand_over_token(name, commands, "buildah", "login")


def sign_in_helm(registry: str, commands: Commands) -> None:
    """Let Helm push to a registry of Azure, with the identity that the CLI has. Others are signed in already."""
    host = registry.partition("/")[0]
    if host.endswith(AZURE):
        _hand_over_token(host.removesuffix(AZURE), commands, "helm", "registry", "login")


def _hand_over_token(name: str, commands: Commands, *words: str) -> None:
    command = ("az", "acr", "login", "--name", name, "--expose-token", "--query", "accessToken", "--output", "tsv")
    token = "" if commands.dry_run else commands.read(*command)
    commands.run(*words, "--username", _TOKEN_USER, "--password-stdin", f"{name}{AZURE}", text=token)
