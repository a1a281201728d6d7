"""`deploy`: record what runs, test the new image out of service, and put it in service."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from delivery.app.api import AccessRefused, AppError
from delivery.app.checks import run_canary
from delivery.app.runs import read_runs, summarize
from delivery.clock import format_instant
from delivery.context import Context, how_to_roll_back
from delivery.environment import EXAMPLE_SUBSCRIPTION
from delivery.errors import DeliveryError, UnusableInput
from delivery.images import Image, parse_image
from delivery.jobs import read_job_images, set_job_images
from delivery.platforms import create_platform
from delivery.platforms.port import Release
from delivery.record import DEPLOYED, Record, RecordFile, RunBaseline, Running, with_state, with_step


def deploy(context: Context, image_text: str, version: str, record_path: Path) -> None:
    """Deploy an image. Raises DeliveryError; the record then contains what was started."""
    image = parse_image(image_text)
    _check_registry(context, image)
    context.require_keys("read", "operate")  # the latter for `verify`, which must not fail for it
    file = RecordFile(record_path)
    file.refuse_unfinished()
    _require_image(context, image)
    platform = create_platform(context)
    record = _make_record(context, image, version, platform.read_running())
    if context.dry_run:
        context.reporter.report(f"write {record_path}")
    else:
        file.create(record)
        context.reporter.report(f"recorded in {record_path}: {_describe(record)}")
    recording = _Recording(context, file, record)
    suffix = f"{image.digest.removeprefix('sha256:')[:7]}-{context.clock.now():%m%d%H%M%S}"
    try:
        platform.deploy(Release(image, version, suffix), record.previous, recording.begin)
        set_job_images(context, dict.fromkeys(record.jobs, record.image), recording.begin)
    except DeliveryError as error:
        raise DeliveryError(f"{error}\n{how_to_roll_back(context, record_path)}") from None
    recording.finish()
    if not context.dry_run:
        context.reporter.report(f"version {version} is in service: run `verify` with this record now")


class _Recording:
    """Writes each change to the record before it starts."""

    def __init__(self, context: Context, file: RecordFile, record: Record) -> None:
        self._context = context
        self._file = file
        self._record = record

    def begin(self, step: str, detail: str) -> None:
        """Store that a change is about to start."""
        at = format_instant(self._context.clock.now())
        self._write(with_step(self._record, step, at, detail))

    def finish(self) -> None:
        """Store that all changes were made."""
        self._write(with_state(self._record, DEPLOYED))

    def _write(self, record: Record) -> None:
        self._record = record
        if not self._context.dry_run:
            self._file.write(record)


def _check_registry(context: Context, image: Image) -> None:
    environment = context.environment
    if environment.subscription == EXAMPLE_SUBSCRIPTION and not context.dry_run:
        raise UnusableInput(
            f"infra/environments/{environment.name}.json has the subscription of the example: write the id of yours "
            "(`az account show --query id`), and the names of your resources."
        )
    expected = environment.registry
    if image.registry != expected and image.registry_name != expected:
        raise UnusableInput(
            f"--image: the registry {image.registry} is not that of {environment.name}, {expected}. "
            "The app pulls with an identity that has a role on its own registry only."
        )


def _require_image(context: Context, image: Image) -> None:
    """Raise DeliveryError unless the registry has the image, before anything is changed."""
    context.az.read("acr", "repository", "show", "--name", image.registry_name, "--image", image.in_registry)


def _make_record(context: Context, image: Image, version: str, running: Running) -> Record:
    environment = context.environment
    record = Record(
        environment.name,
        environment.platform,
        environment.app,
        str(image),
        version,
        running,
        format_instant(context.clock.now()),
        jobs=read_job_images(context, environment.jobs),
    )
    if context.dry_run:
        context.reporter.report(f"POST {environment.url}/api/jobs/{environment.canary}/run?wait=30s")
        for path in ("/api/health/ready", "/api/watchdog", "/api/runs"):
            context.reporter.report(f"GET {environment.url}{path}")
        return record
    _try_canary(context)
    return _with_answers(context, record)


def _try_canary(context: Context) -> None:
    """Report a canary job that fails before the deployment: then `verify` proves nothing, or finds the same."""
    try:
        problem = run_canary(context)
    except AccessRefused:
        raise
    except AppError as error:
        problem = str(error)
    if problem:
        context.reporter.report(f"warning: the canary job fails before the deployment, too: {problem}")


def _with_answers(context: Context, record: Record) -> Record:
    """Add what the app reports. An app that does not answer is recorded as such: this deployment may repair it."""
    api, limits, now = context.api(), context.environment.verify, context.clock.now()
    version, tick, runs = "", "", RunBaseline()
    try:
        version = api.read_health().version
        last_tick = api.read_last_tick()
        if last_tick is not None:
            tick, now = format_instant(last_tick.at), last_tick.server_time
        until = now - timedelta(seconds=limits.lag)
        runs = summarize(read_runs(api, until - timedelta(seconds=limits.baseline), until))
    except AccessRefused:
        raise
    except AppError as error:
        context.reporter.report(f"the version that runs now does not answer, so nothing can be compared: {error}")
    previous = replace(record.previous, version=version)
    return replace(record, previous=previous, last_tick=tick, run_count=sum(runs.buckets), runs=runs)


def _describe(record: Record) -> str:
    version = record.previous.version or "unknown"
    return f"version {version}, {record.previous.image}, last tick {record.last_tick or 'unknown'}, " + (
        f"{record.run_count} runs in {len(record.runs.buckets) * record.runs.bucket:.0f} s, "
        f"{len(record.runs.failing)} failing jobs"
    )
