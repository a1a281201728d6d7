"""The base of what routes answer with. Used by their modules and by models.py."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

RETRY_AFTER = "5"
"""Seconds to stay away while a part is down."""


class ResponseModel(BaseModel):
    """FastAPI makes a validator for each route that a model stands in: one of the model's own would be for nobody."""

    model_config = ConfigDict(defer_build=True)
