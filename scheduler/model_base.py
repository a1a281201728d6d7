"""Base classes of what services return and take, and the types that requests share.

What a service returns is what the API serves, `--json` prints and a page shows. No model depends on FastAPI.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict, JsonValue

from jobs.formats import parse_instant as parse_iso_instant
from jobs.problems import make_printable

Item = TypeVar("Item")

EXAMPLE_VALUES = "x-example-values"
"""Member of a schema, removed from the document: names and values of fields of the model's example."""

MAX_REASON_LENGTH = 500
"""Characters."""

RETRY_AFTER = "5"
"""Seconds after which a client should retry while a part is down."""


class ResponseModel(BaseModel):
    """Defers its validator, because FastAPI builds one for each route that returns the model.

    Fields with a default are sent too, so the schema of a response requires them.
    """

    model_config = ConfigDict(defer_build=True, json_schema_serialization_defaults_required=True)

    @classmethod
    def from_object(cls, source: object, /, **members: object) -> Self:
        """Return the model with these members; each other one is the attribute of `source` of the same name."""
        return cls(
            **{name: members.get(name) if name in members else getattr(source, name) for name in cls.model_fields}
        )


class ListModel(ResponseModel, Generic[Item]):
    """A page of a list: its first field are the items. `continuation`, if it has one, fetches the next page."""

    @classmethod
    def items_field(cls) -> str:
        """Return the name of the field with the items."""
        return next(iter(cls.model_fields))

    @property
    def items(self) -> list[Item]:
        items: list[Item] = getattr(self, self.items_field())
        return items

    @property
    def next_page(self) -> str | None:
        """Return the continuation; None on the last page, and of a list without pages."""
        continuation: str | None = getattr(self, "continuation", None)
        return continuation


def example_values(**fields: JsonValue) -> ConfigDict:
    """Return the configuration of a model whose example has these fields.

    scheduler.api.description.examples adds the others.
    """
    pairs: list[JsonValue] = [[name, value] for name, value in fields.items()]  # FastAPI removes null from an object
    return ConfigDict(json_schema_extra={EXAMPLE_VALUES: pairs})


class RequestModel(BaseModel):
    """Rejects unknown members. Strict: a number or boolean of the schema cannot be sent as a string."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _accept_whole_numbers(cls, members: object) -> object:
        """Convert `5.0`, which JSON Schema counts as an integer."""
        if not isinstance(members, dict):
            return members
        return {
            name: int(value) if type(value) is float and value.is_integer() else value
            for name, value in members.items()
        }


def example(value: JsonDict) -> ConfigDict:
    """Return the configuration of a model with this example, which /api/openapi.json contains."""
    return ConfigDict(json_schema_extra={"examples": [value]})


def parse_instant(value: object) -> datetime:
    """Parse an ISO 8601 instant, in UTC without an offset. Raises ValueError."""
    if isinstance(value, str):
        try:
            return parse_iso_instant(value)
        except ValueError:
            if (nearest := _nearest_instant(value)) is not None:
                return nearest
    shown = make_printable(repr(value), 60)
    raise ValueError(f"{shown} is not an ISO 8601 instant: use a form such as 2026-11-25T01:50:30Z")


def _nearest_instant(text: str) -> datetime | None:
    """Return the first or last possible instant for one whose offset leads out of the years 1 to 9999."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (datetime.min if instant.year == 1 else datetime.max).replace(tzinfo=UTC)


Instant = Annotated[datetime, BeforeValidator(parse_instant)]
Reason = Annotated[str, StringConstraints(max_length=MAX_REASON_LENGTH), AfterValidator(str.strip)]
Length = Annotated[str, Field(max_length=50)]
"""A duration such as `30m`."""
