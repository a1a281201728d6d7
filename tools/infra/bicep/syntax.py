"""The syntax tree of a Bicep file. Made by tools.infra.bicep.parser, read by tools.infra.arm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class Interpolation:
    """A text with expressions in it. `parts`: texts and expressions in turn."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    base: Expression
    name: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    base: Expression
    key: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """`base`: of a method, such as the vault in `vault.getSecret('name')`."""

    name: str
    arguments: tuple[Expression, ...]
    base: Expression | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """`operator`: such as `&&`, `!` or `?:`, with its operands in their order."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ObjectNode:
    entries: tuple[tuple[str | Interpolation, Expression], ...]

    def find(self, key: str) -> Expression | None:
        """Return the value of a key; None without it."""
        return next((value for name, value in self.entries if name == key), None)

    def without(self, *keys: str) -> ObjectNode:
        return ObjectNode(tuple(entry for entry in self.entries if entry[0] not in keys))


@dataclass(frozen=True, slots=True)
class ArrayNode:
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """`[for (item, index) in source: if (condition) body]`."""

    item: str
    index: str | None
    source: Expression
    condition: Expression | None
    body: Expression


Expression: TypeAlias = (
    "Literal | Interpolation | Name | Member | Index | Call | Operation | ObjectNode | ArrayNode | Loop"
)


@dataclass(frozen=True, slots=True)
class Declaration:
    """`kind`: param, var, output, resource, module, or a `param` of a file of parameters.

    `type`: of a parameter or an output; of a resource type and API version; of a module its path. `decorators`: by
    name, with their argument. `skips`: checks of checkov that a comment in it skips, with the reason.
    """

    kind: str
    name: str
    type: str
    value: Expression | None
    decorators: dict[str, Expression | None]
    condition: Expression | None = None
    is_existing: bool = False
    line: int = 0
    skips: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BicepFile:
    """`header`: targetScope, using."""

    declarations: tuple[Declaration, ...]
    header: dict[str, str]
    metadata: dict[str, str]

    def of_kind(self, *kinds: str) -> tuple[Declaration, ...]:
        return tuple(each for each in self.declarations if each.kind in kinds)
