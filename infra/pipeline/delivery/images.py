"""The reference of an image by its digest. A tag is not accepted: it can be moved to another image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from delivery.errors import UnusableInput

_REFERENCE = re.compile(
    r"(?P<registry>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?)/"
    r"(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)@(?P<digest>sha256:[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Image:
    """An image: the host of its registry, its repository and its digest."""

    registry: str
    repository: str
    digest: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}@{self.digest}"

    @property
    def in_registry(self) -> str:
        """The name within the registry, as `az acr` takes it."""
        return f"{self.repository}@{self.digest}"

    @property
    def registry_name(self) -> str:
        """The short name of the registry."""
        return self.registry.partition(".")[0]


def parse_image(text: str) -> Image:
    """Parse a reference such as contoso.azurecr.io/scheduler@sha256:... Raises UnusableInput."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        example = "contoso.azurecr.io/scheduler@sha256:<64 hexadecimal digits>"
        raise UnusableInput(
            f"--image: {text!r} does not name an image by its digest. Expected a form such as {example}. "
            "A push prints the digest, and `az acr manifest list-metadata` lists those of a repository."
        )
    return Image(found["registry"], found["repository"], found["digest"])
