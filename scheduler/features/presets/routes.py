"""The routes that read presets."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path

from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.features.presets.models import PresetDetail, PresetList

router = ApiRouter("presets", by_tag=True)

PresetName = Annotated[str, Path(max_length=64, description="The preset's name", examples=["servicebus-dead-letters"])]


@router.read("/api/presets")
async def list_presets(services: ServicesDep) -> PresetList:
    """List the presets that jobs can be made of: those of the product, and those next to the job files."""
    return await asyncio.to_thread(services.presets.list_presets)


@router.read("/api/presets/{name}")
async def get_preset(services: ServicesDep, name: PresetName) -> PresetDetail:
    """Return a preset, its parameters, and the job that it makes of their examples."""
    return await asyncio.to_thread(services.presets.read_preset, name)
