"""Pins the base images by digest in infra/pipeline/bases.json. A scheduled job calls `bases --update`.

    {"BASE": {"image": "mcr.microsoft.com/azure-functions/python:4-python3.13", "digest": "sha256:..."}, ...}

The names are those of the Dockerfile's arguments: BASE_DIGEST and PYTHON_DIGEST. An empty digest: the newest image of
the tag, which a pipeline refuses on main.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from container.commands import ROOT, Commands
from container.errors import InvalidUse, StepFailed

FILE = ROOT / "infra" / "pipeline" / "bases.json"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
BASE_OF_TARGET = {"functions": "BASE", "embedded": "PYTHON"}


def read_bases(file: Path = FILE) -> dict[str, dict[str, str]]:
    bases: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    for name, base in bases.items():
        check_digest(base["digest"], f"{file}: {name}")
    return bases


def check_digest(digest: str, where: str) -> str:
    if digest and not DIGEST.fullmatch(digest):
        raise InvalidUse(f"{where}: {digest!r} is not a digest, sha256: and 64 hexadecimal digits.")
    return digest


MAIN_BUILDS = {
    ("GITHUB_REF", "refs/heads/main"),
    ("BUILD_SOURCEBRANCH", "refs/heads/main"),
    ("BRANCH_NAME", "main"),
}
"""Variables of GitHub Actions, Azure Pipelines and Jenkins in a build of main: its image is released."""


def require_digest(digest: str, name: str, variables: Mapping[str, str]) -> None:
    """Raise InvalidUse for an image of a pipeline on main whose base is whatever the tag is that day."""
    if not digest and MAIN_BUILDS & variables.items():
        raise InvalidUse(
            f"infra/pipeline/bases.json has no digest of {name}, which a build of main requires. In a checkout of "
            "main, on a machine with skopeo or Docker that reaches mcr.microsoft.com and docker.io, run "
            "`infra/pipeline/image bases --update`, and merge the changed file; or start the scheduled pipeline "
            "`bases`, which proposes it."
        )


def update_bases(commands: Commands, file: Path = FILE) -> list[str]:
    """Write the digests that the tags have now, and return a line for each that is another one."""
    bases, changes = read_bases(file), []
    for base in bases.values():
        found = find_digest(base["image"], commands)
        if found != base["digest"]:
            changes.append(f"{base['image']}: {base['digest'] or 'not pinned'} -> {found}")
            base["digest"] = found
    if changes and not commands.dry_run:
        file.write_text(json.dumps(bases, indent=2) + "\n", encoding="utf-8")
    return changes


def find_digest(image: str, commands: Commands) -> str:
    """Return the digest of a tag in its registry, by the first tool that is installed."""
    if commands.has("skopeo"):
        found = commands.read("skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}", f"docker://{image}")
    elif commands.has("docker"):
        found = commands.read("docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image)
    else:
        raise InvalidUse("neither skopeo nor docker is installed: one of them reads digests from a registry.")
    if not DIGEST.fullmatch(found):
        raise StepFailed(f"the registry gave {found!r} as the digest of {image}.")
    return found
