"""The platforms, one module each, behind one interface."""

from __future__ import annotations

from delivery.context import Context
from delivery.environment import CONTAINER_APPS, EMBEDDED
from delivery.platforms.container_app import ContainerAppPlatform, EmbeddedPlatform
from delivery.platforms.functions_app import FunctionsPlatform
from delivery.platforms.port import Platform


def create_platform(context: Context) -> Platform:
    """Return the platform of the environment."""
    if context.environment.platform == CONTAINER_APPS:
        return ContainerAppPlatform(context)
    if context.environment.platform == EMBEDDED:
        return EmbeddedPlatform(context)
    return FunctionsPlatform(context)
