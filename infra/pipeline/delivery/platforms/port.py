"""What deploy, rollback and status need of a platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from delivery.images import Image
from delivery.record import Record, Running

BeginStep = Callable[[str, str], None]
"""Stores in the record that a change is about to start: its name and a detail, such as a revision."""

TRIGGER_FUNCTIONS = ("tick", "work", "bury")
"""Functions that a slot or revision disables while it is not in service: the timer and both queues."""
PREFIX_SETTING = "SCHEDULER_STORAGE__PREFIX"
"""The setting that separates tables and queues of two deployments on one storage account."""


@dataclass(frozen=True)
class Deployed:
    """One slot or revision. `share`: percent of the requests. `plans`: whether its timer is enabled."""

    name: str
    image: str
    url: str
    share: int
    plans: bool
    is_active: bool = True


@dataclass(frozen=True)
class Release:
    """What is deployed. `suffix`: of names that must be unique, such as revisions."""

    image: Image
    version: str
    suffix: str


class Platform(Protocol):
    """A platform. Every method raises DeliveryError."""

    def read_running(self) -> Running:
        """Return what serves now."""
        ...

    def deploy(self, release: Release, old: Running, begin: BeginStep) -> None:
        """Test the image out of service, then put it in service instead of `old`. Calls `begin` before each change."""
        ...

    def restore(self, record: Record) -> None:
        """Put the recorded image in service again, whatever step was reached. May be called several times."""
        ...

    def restore_image(self, image: Image, version: str) -> None:
        """Put an image in service without a record."""
        ...

    def serves(self, image: str) -> bool:
        """Return whether this image is in service, and no other change is in progress."""
        ...

    def list_deployed(self) -> list[Deployed]:
        """Return every slot or revision."""
        ...
