"""`rollback`: put the recorded image in service again, and wait for its version and its timer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from delivery.app.api import AccessRefused
from delivery.context import Context
from delivery.errors import DeliveryError, UnusableInput
from delivery.images import parse_image
from delivery.jobs import set_job_images
from delivery.platforms import create_platform
from delivery.platforms.port import Platform
from delivery.record import ROLLED_BACK, Record, RecordFile, with_state

RECHECK_INTERVAL = 60.0
"""Seconds without the version after which the state of the app is read again."""


def roll_back_to_record(context: Context, record_path: Path) -> None:
    """Restore what a record describes. Raises DeliveryError."""
    file = RecordFile(record_path)
    record = file.read()
    if record.environment != context.environment.name:
        raise UnusableInput(f"--record: the record is of {record.environment}, not of {context.environment.name}.")
    platform, previous = create_platform(context), record.previous
    if not record.steps:
        context.reporter.report("the record has no change; making sure that the recorded image is in service")
    context.reporter.report(f"restoring {previous.image}, version {previous.version or 'unknown'}")
    unlike = record.version if not previous.version and previous.image != record.image else ""
    _restore(context, platform, record, unlike)
    set_job_images(context, record.jobs)
    if not context.dry_run:
        file.write(with_state(record, ROLLED_BACK))
        context.reporter.report(f"version {previous.version or 'of the recorded image'} is in service again")


def roll_back_to_image(context: Context, image_text: str, version: str) -> None:
    """Put an image in service without a record. Raises DeliveryError."""
    image, platform = parse_image(image_text), create_platform(context)
    platform.restore_image(image, version)
    _wait_for_service(context, version, "", context.environment.verify.within)
    _wait_for_timer(context)
    _require_service(platform, str(image))
    set_job_images(context, dict.fromkeys(context.environment.jobs, str(image)))
    if not context.dry_run:
        context.reporter.report(f"version {version} is in service")


def _restore(context: Context, platform: Platform, record: Record, unlike: str) -> None:
    """Restore until the image stays in service: Azure can complete a change of a killed deployment at any time."""
    clock, image, version = context.clock, record.previous.image, record.previous.version
    end = clock.now() + timedelta(seconds=context.environment.verify.within)
    is_in_service = False
    while True:
        if not is_in_service:
            platform.restore(record)
        try:
            _wait_for_service(context, version, unlike, RECHECK_INTERVAL)
            _wait_for_timer(context)
        except DeliveryError as error:
            if clock.now() > end:
                raise
            context.reporter.report(str(error))
            is_in_service = platform.serves(image)
            continue
        if platform.serves(image):
            return
        if clock.now() > end:
            raise DeliveryError("the image does not stay in service: another process changes the app.")
        context.reporter.report("another change was made meanwhile; restoring again")
        is_in_service = False


def _wait_for_service(context: Context, version: str, unlike: str, within: float) -> None:
    if context.dry_run:
        context.reporter.report(f"GET {context.environment.url}/api/health/ready until {version or 'it'} is ready")
        return
    context.waiting().wait_for_version(version, min(within, context.environment.verify.within), unlike=unlike)


def _require_service(platform: Platform, image: str) -> None:
    if not platform.serves(image):
        raise DeliveryError(f"{image} is not in service: run `status`; another process may change the app.")


def _wait_for_timer(context: Context) -> None:
    """Wait for a tick. A rollback needs no key: without a valid one, the timer is not checked."""
    environment = context.environment
    if context.dry_run:
        context.reporter.report(f"GET {environment.url}/api/watchdog until a later tick")
        return
    if not context.keys.read:
        context.reporter.report(f"{environment.keys.read} is not set, so the last tick was not checked")
        return
    try:
        context.waiting().wait_for_tick(context.clock.now(), environment.verify.tick)
    except AccessRefused as error:
        context.reporter.report(f"the last tick was not checked: {error}")
