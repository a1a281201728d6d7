"""Defines the base class of all response models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

RETRY_AFTER = "5"
"""Seconds after which a client should retry while a part is down."""


class ResponseModel(BaseModel):
    """Defers its validator, because FastAPI builds one for each route that returns the model."""

    model_config = ConfigDict(defer_build=True)
