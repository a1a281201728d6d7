"""The Container Apps jobs of an environment, which run the image of its app: backups and commands.

Called by deploy, verify, rollback and status. A job has no revisions: an execution has the image that the job has at
its start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from delivery.context import Context
from delivery.errors import DeliveryError
from delivery.platforms.port import BeginStep

JOB_STEP = "job-image"
_IN_SERVICE = "(the image of the job)"
"""Stands for the image in a dry run."""


def read_job_images(context: Context, names: Iterable[str]) -> dict[str, str]:
    """Return the image of each job. Raises DeliveryError."""
    example = {"properties": {"template": {"containers": [{"image": _IN_SERVICE}]}}}
    found = {}
    for name in names:
        job = context.az.read("containerapp", "job", "show", *_of(context, name), assumed=example)
        found[name] = str(job["properties"]["template"]["containers"][0]["image"])
    return found


def set_job_images(context: Context, images: Mapping[str, str], begin: BeginStep = lambda step, detail: None) -> None:
    """Give each job its image, unless it has it. Calls `begin` before each change. Raises DeliveryError."""
    for name, image in read_job_images(context, images).items():
        if image != images[name]:
            begin(JOB_STEP, name)
            context.az.change("containerapp", "job", "update", *_of(context, name), "--image", images[name])


def require_job_images(context: Context, images: Mapping[str, str]) -> None:
    """Raise DeliveryError unless each job has its image."""
    for name, image in read_job_images(context, images).items():
        if image != images[name]:
            raise DeliveryError(f"the job {name} has the image {image}, expected {images[name]}.")


def _of(context: Context, name: str) -> tuple[str, ...]:
    return ("--resource-group", context.environment.resource_group, "--name", name)
