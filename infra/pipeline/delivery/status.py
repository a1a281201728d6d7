"""`status`: what runs where, for a person or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from delivery.app.api import AppError
from delivery.clock import format_instant
from delivery.context import Context
from delivery.jobs import read_job_images
from delivery.platforms import create_platform
from delivery.platforms.port import Deployed


def print_status(context: Context, *, as_json: bool) -> None:
    """Print every slot or revision with its image, version and share of requests. Raises DeliveryError."""
    found = [_describe(context, one) for one in create_platform(context).list_deployed()]
    last_tick = _read_last_tick(context)
    environment = context.environment
    jobs = read_job_images(context, environment.jobs)
    if as_json:
        values = {"environment": environment.name, "platform": environment.platform, "app": environment.app}
        context.reporter.result(
            json.dumps({**values, "last_tick": last_tick, "deployed": found, "jobs": jobs}, indent=2)
        )
        return
    lines = [f"{environment.app} ({environment.platform}), last tick {last_tick or 'unknown'}"]
    for one in found:
        state = "ready" if one["ready"] else one["problem"]
        timer = "plans" if one["plans"] else "plans nothing"
        active = "" if one["is_active"] else ", inactive"
        lines.append(
            f"{one['name']}: {one['share']} %, version {one['version'] or 'unknown'}, {state}, {timer}{active}"
        )
        lines.append(f"  {one['image']}")
    lines += [f"job {name}\n  {image}" for name, image in jobs.items()]
    context.reporter.result("\n".join(lines))


def _describe(context: Context, deployed: Deployed) -> dict[str, Any]:
    values = {**asdict(deployed), "version": "", "ready": False, "problem": ""}
    if context.dry_run or not deployed.is_active or not deployed.url:
        return values
    try:
        health = context.api(deployed.url).read_health()
    except AppError as error:
        return {**values, "problem": str(error)}
    problem = "" if health.is_ready else f"not ready: {', '.join(health.down)}"
    return {**values, "version": health.version, "ready": health.is_ready, "problem": problem}


def _read_last_tick(context: Context) -> str:
    if context.dry_run or not context.keys.read:
        return ""
    try:
        tick = context.api().read_last_tick()
    except AppError as error:
        context.reporter.report(str(error))
        return ""
    return format_instant(tick.at) if tick is not None else ""
