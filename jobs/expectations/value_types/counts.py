"""Lengths and counts, as one number or as bounds. Used by the comparison `length` and the entry `redirects`. Pure."""

from __future__ import annotations

from operator import eq, ge, gt, le, lt
from typing import Any, Self

from pydantic import Field, GetJsonSchemaHandler, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import CoreSchema

from jobs.model_base import FrozenModel


class CountBounds(FrozenModel):
    """One number, `3`, or bounds that must all hold: `{at_least: 1, below: 10}`."""

    equals: int | None = Field(default=None, ge=0)
    below: int | None = Field(default=None, ge=0)
    above: int | None = Field(default=None, ge=0)
    at_least: int | None = Field(default=None, ge=0)
    at_most: int | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _read_number(cls, value: Any) -> Any:
        return {"equals": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 0}, handler(core_schema)]}

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if not self._bounds():
            raise ValueError("has no bound: write a number, or one of " + ", ".join(type(self).model_fields))
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, write: SerializerFunctionWrapHandler) -> Any:
        bounds = {key: value for key, value in write(self).items() if value is not None}
        return bounds["equals"] if bounds.keys() == {"equals"} else bounds

    def holds(self, number: int) -> bool:
        return all(_PREDICATES[name](number, bound) for name, bound in self._bounds())

    def __str__(self) -> str:
        return ", ".join(BOUND_PHRASES.get(name, "{}").format(bound) for name, bound in self._bounds())

    def _bounds(self) -> list[tuple[str, int]]:
        return [(name, bound) for name in _PREDICATES if (bound := getattr(self, name)) is not None]


_PREDICATES = {"equals": eq, "below": lt, "above": gt, "at_least": ge, "at_most": le}
BOUND_PHRASES = {
    "below": "less than {}",
    "above": "more than {}",
    "at_least": "at least {}",
    "at_most": "at most {}",
}
"""How a failure describes a bound."""
