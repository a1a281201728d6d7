"""Turns resources and modules of Bicep into those of ARM JSON. Used by tools.infra.arm.template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tools.infra.arm.expressions import ExpressionWriter
from tools.infra.arm.symbols import Deployed, Symbols
from tools.infra.bicep.errors import BicepError
from tools.infra.bicep.syntax import ArrayNode, Call, Expression, Name, ObjectNode

_OWN_KEYS = ("name", "parent", "scope", "dependsOn", "params")
LoadModule = Callable[[str], Mapping[str, Any]]
"""Returns the template of the module at a path."""


class ResourceWriter:
    """`used`: the parameters and variables that were used."""

    def __init__(self, symbols: Symbols, load_module: LoadModule) -> None:
        self._symbols = symbols
        self._load_module = load_module
        self.used: set[str] = set()

    def write(self, one: Deployed) -> dict[str, Any]:
        """Raises BicepError."""
        writer = ExpressionWriter(self._symbols, self._loop_variables(one))
        found: dict[str, Any] = {}
        if one.declaration.condition is not None:
            found["condition"] = _before_deployment(f"[{writer.text(one.declaration.condition)}]", one)
        if one.loop is not None:
            outer = ExpressionWriter(self._symbols)
            count = f"[length({outer.text(one.loop.source)})]"
            found["copy"] = {"name": one.symbol, "count": _before_deployment(count, one)}
            self.used |= outer.used
        if one.declaration.skips:
            found["metadata"] = {"checkov": [f"checkov:skip={check}:{why}" for check, why in one.declaration.skips]}
        found |= {"type": one.type, "apiVersion": one.api_version, "name": self._full_name(one, writer)}
        found |= self._module_body(one, writer) if one.is_module else self._resource_body(one, writer)
        found |= self._dependencies(one, writer)
        self.used |= writer.used
        return found

    def _loop_variables(self, one: Deployed) -> dict[str, str]:
        loop = one.loop
        if loop is None:
            return {}
        source = ExpressionWriter(self._symbols).text(loop.source)
        found = {loop.item: f"{source}[copyIndex()]"}
        return found | ({loop.index: "copyIndex()"} if loop.index else {})

    def _full_name(self, one: Deployed, writer: ExpressionWriter) -> Any:
        chain = self._symbols.ancestors(one)
        if len(chain) == 1:
            return _before_deployment(writer.value(one.name), one)
        template = "/".join(f"{{{at}}}" for at in range(len(chain)))
        names = ", ".join(writer.text(each.name) for each in chain)
        return _before_deployment(f"[format('{template}', {names})]", one)

    def _resource_body(self, one: Deployed, writer: ExpressionWriter) -> dict[str, Any]:
        found: dict[str, Any] = {"scope": f"[{writer.scope_id(one)}]"} if one.scope is not None else {}
        body: dict[str, Any] = writer.value(one.body.without(*_OWN_KEYS))
        return found | body

    def _module_body(self, one: Deployed, writer: ExpressionWriter) -> dict[str, Any]:
        template = self._load_module(one.declaration.type)
        given = one.body.find("params")
        entries = given.entries if isinstance(given, ObjectNode) else ()
        _check_parameters(one, {str(key) for key, _ in entries}, template["parameters"])
        parameters = {str(key): self._parameter(value, writer) for key, value in entries}
        found: dict[str, Any] = {}
        if one.scope is not None:
            found["resourceGroup"] = writer.value(writer.group_of(one))
        properties = {
            "expressionEvaluationOptions": {"scope": "inner"},
            "mode": "Incremental",
            "parameters": parameters,
            "template": dict(template),
        }
        return {**found, "properties": properties}

    def _parameter(self, value: Expression, writer: ExpressionWriter) -> dict[str, Any]:
        if not (isinstance(value, Call) and value.name == "getSecret" and isinstance(value.base, Name)):
            return {"value": writer.value(value)}
        vault = self._symbols.deployed[value.base.name]
        if not vault.declaration.is_existing:
            raise BicepError("getSecret needs an existing vault", value.line)
        (name,) = value.arguments
        return {
            "reference": {
                "keyVault": {"id": f"[{writer.resource_id(vault)}]"},
                "secretName": writer.value(name),
            }
        }

    def _dependencies(self, one: Deployed, writer: ExpressionWriter) -> dict[str, Any]:
        explicit = one.body.find("dependsOn")
        names = (
            {item.name for item in explicit.items if isinstance(item, Name)}
            if isinstance(explicit, ArrayNode)
            else set()
        )
        names |= writer.references | ({one.parent} if one.parent else set())
        found = []
        for name in sorted(names - {one.symbol}):
            other = self._symbols.deployed[name]
            if other.declaration.is_existing:
                continue
            found.append(name if other.loop is not None else f"[{writer.resource_id(other)}]")
        return {"dependsOn": found} if found else {}


def _before_deployment(value: Any, one: Deployed) -> Any:
    """Return the value if it is known before the deployment. Raises BicepError otherwise."""
    if isinstance(value, str) and "reference(" in value.replace("lambdaReference(", ""):
        raise BicepError(f"{one.symbol}: a name, a condition or a count uses what is known later", one.declaration.line)
    return value


def _check_parameters(one: Deployed, given: set[str], declared: Mapping[str, Any]) -> None:
    line = one.declaration.line
    if unknown := sorted(given - declared.keys()):
        raise BicepError(f"the module {one.symbol} has no parameter {', '.join(unknown)}", line)
    required = {name for name, one_of in declared.items() if "defaultValue" not in one_of}
    if missing := sorted(required - given):
        raise BicepError(f"the module {one.symbol} needs {', '.join(missing)}", line)
