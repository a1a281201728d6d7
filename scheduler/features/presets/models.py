"""Presets as the API, the commands and the editor show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scheduler.model_base import ListModel, ResponseModel, example_values

if TYPE_CHECKING:
    from config.presets.preset import Preset


class PresetParameterModel(ResponseModel):
    """A parameter. `type`: text, number, duration or texts. `default`: null if its place is skipped."""

    model_config = example_values(
        name="namespace", description="Name of the namespace", type="text", example="orders", default=None
    )

    name: str
    description: str
    type: str
    pattern: str
    required: bool
    example: str | int | float | list[str]
    default: str | int | float | list[str] | None


class PresetModel(ResponseModel):
    """A preset. `role`, `scope`: the role that the identity of the app needs, and where. `source`: documentation.

    `minimum_interval`: seconds that two runs are apart at least. `runbook`: what to do. `is_own`: of users, and not of
    the product. `kind`: of the check.
    """

    model_config = example_values(
        name="servicebus-dead-letters", kind="azure_resource", minimum_interval=60.0, is_own=False
    )

    name: str
    description: str
    kind: str
    role: str
    scope: str
    minimum_interval: float
    runbook: str
    source: str
    is_own: bool
    parameters: list[PresetParameterModel]
    url: str


class PresetList(ListModel[PresetModel]):
    presets: list[PresetModel]


class PresetDetail(PresetModel):
    """A preset with the job that it makes. `written`: how a job uses it. Required parameters have their examples."""

    model_config = example_values(name="servicebus-dead-letters", kind="azure_resource", is_own=False)

    written: dict[str, Any]
    job: dict[str, Any]


def view_preset(preset: Preset) -> PresetModel:
    return PresetModel(**_fields_of(preset))


def view_expansion(preset: Preset, values: Mapping[str, Any] | None = None) -> PresetDetail:
    """Return the preset with the job of these values, which have no mistakes; without them that of the examples."""
    every = {**preset.examples, **(values or {})}
    written = {"preset": preset.name, **({"with": every} if every else {})}
    fields = _fields_of(preset) | {"scope": preset.fill_scope(every)}
    return PresetDetail(**fields, written=written, job=dict(preset.fill(every).job))


def _fields_of(preset: Preset) -> dict[str, Any]:
    fields = {name: getattr(preset, name) for name in PresetModel.model_fields if hasattr(preset, name)}
    parameters = [
        PresetParameterModel.from_object(one, name=name, required=one.is_required)
        for name, one in preset.parameters.items()
    ]
    kind = str(preset.job["check"].get("kind", "http"))
    return fields | {"parameters": parameters, "kind": kind, "url": f"/api/presets/{preset.name}"}
