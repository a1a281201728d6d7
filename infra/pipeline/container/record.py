"""What one step of a build tells the next: image.json, and image.txt with the reference alone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from container.errors import InvalidUse

IMAGE_FILE, REFERENCE_FILE = "image.json", "image.txt"
REQUIREMENTS = ("requirements.txt", "requirements-databases.txt")
"""What an image may have; the first one is the default, the other one adds the drivers of database checks."""


def tag_suffix(requirements: str) -> str:
    """Return the end of the tags of an image: `-databases`, for requirements-databases.txt."""
    return Path(requirements).stem.removeprefix("requirements")


@dataclass(frozen=True)
class ImageRecord:
    """An image. `local`: its name in the storage of `engine`. Before a push, `repository` and `digest` are empty.

    `requirements`: the file of the packages in it.
    """

    local: str
    engine: str
    target: str
    version: str
    revision: str
    base: str = ""
    repository: str = ""
    digest: str = ""
    requirements: str = REQUIREMENTS[0]

    @property
    def reference(self) -> str:
        """The name that a deployment uses: the digest, because a tag can be moved."""
        if not self.digest:
            raise InvalidUse(f"{IMAGE_FILE} has no digest: push the image first.")
        return f"{self.repository}@{self.digest}"

    def write(self, folder: Path) -> None:
        (folder / IMAGE_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        if self.digest:
            (folder / REFERENCE_FILE).write_text(self.reference + "\n", encoding="utf-8")


def read_record(folder: Path) -> ImageRecord:
    file = folder / IMAGE_FILE
    try:
        return ImageRecord(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InvalidUse(f"{file} does not exist: build the image first, or run this where it was built.") from None
    except (ValueError, TypeError) as error:
        raise InvalidUse(f"{file}: {error}") from None
