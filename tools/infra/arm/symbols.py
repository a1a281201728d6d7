"""What names in a Bicep file stand for. Made by tools.infra.arm.template, used by tools.infra.arm.expressions."""

from __future__ import annotations

from dataclasses import dataclass

from tools.infra.bicep.errors import BicepError
from tools.infra.bicep.syntax import BicepFile, Declaration, Expression, Loop, Name, ObjectNode

DEPLOYMENTS = "Microsoft.Resources/deployments"
DEPLOYMENTS_VERSION = "2022-09-01"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A resource or a module. `body`: without its loop. `parent`: symbol of the resource that holds it."""

    symbol: str
    type: str
    api_version: str
    body: ObjectNode
    declaration: Declaration
    loop: Loop | None
    parent: str | None

    @property
    def is_module(self) -> bool:
        return self.declaration.kind == "module"

    @property
    def name(self) -> Expression:
        return self._required("name")

    @property
    def scope(self) -> Expression | None:
        return self.body.find("scope")

    def _required(self, key: str) -> Expression:
        found = self.body.find(key)
        if found is None:
            raise BicepError(f"{self.symbol} has no {key}", self.declaration.line)
        return found


@dataclass(frozen=True, slots=True)
class Symbols:
    parameters: dict[str, Declaration]
    variables: dict[str, Declaration]
    deployed: dict[str, Deployed]

    def ancestors(self, one: Deployed) -> list[Deployed]:
        """Return the resource with those that hold it, the outermost first."""
        found = [one]
        while found[0].parent is not None:
            found.insert(0, self.deployed[found[0].parent])
        return found


def collect_symbols(file: BicepFile) -> Symbols:
    """Raises BicepError: a name is declared twice."""
    names = [each.name for each in file.of_kind("param", "var", "resource", "module")]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BicepError(f"declared twice: {', '.join(sorted(twice))}")
    return Symbols(
        {each.name: each for each in file.of_kind("param")},
        {each.name: each for each in file.of_kind("var")},
        {each.name: _deployed(each) for each in file.of_kind("resource", "module")},
    )


def _deployed(declared: Declaration) -> Deployed:
    loop = declared.value if isinstance(declared.value, Loop) else None
    body = loop.body if loop is not None else declared.value
    if not isinstance(body, ObjectNode):
        raise BicepError(f"{declared.name} is not an object", declared.line)
    if declared.kind == "module":
        return Deployed(declared.name, DEPLOYMENTS, DEPLOYMENTS_VERSION, body, declared, loop, None)
    kind, found, version = declared.type.partition("@")
    if not found:
        raise BicepError(f"{declared.name} has no API version", declared.line)
    parent = body.find("parent")
    if parent is not None and not isinstance(parent, Name):
        raise BicepError(f"the parent of {declared.name} is not a symbol", declared.line)
    return Deployed(declared.name, kind, version, body, declared, loop, parent.name if parent else None)
