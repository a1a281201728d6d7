"""Turns expressions of Bicep into those of ARM JSON. Used by tools.infra.arm.resources and tools.infra.arm.template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.infra.arm.functions import OPERATORS, SHARED_FUNCTIONS
from tools.infra.arm.symbols import DEPLOYMENTS, DEPLOYMENTS_VERSION, Deployed, Symbols
from tools.infra.bicep.errors import BicepError
from tools.infra.bicep.syntax import (
    ArrayNode,
    Call,
    Expression,
    Index,
    Interpolation,
    Literal,
    Loop,
    Member,
    Name,
    ObjectNode,
    Operation,
)


class ExpressionWriter:
    """`references`: the symbols of resources and modules that were used. `used`: parameters and variables."""

    def __init__(self, symbols: Symbols, local: Mapping[str, str] | None = None) -> None:
        """`local`: ARM's text for the variables of a loop."""
        self._symbols = symbols
        self._local = dict(local or {})
        self.references: set[str] = set()
        self.used: set[str] = set()

    def value(self, expression: Expression) -> Any:
        """Return JSON: constants, objects and arrays as they are, and everything else as a text in brackets."""
        if isinstance(expression, Literal):
            text = expression.value
            return f"[{text}" if isinstance(text, str) and text.startswith("[") else text
        if isinstance(expression, ObjectNode):
            return {self._key(key): self.value(value) for key, value in expression.entries}
        if isinstance(expression, ArrayNode):
            return [self.value(item) for item in expression.items]
        return f"[{self.text(expression)}]"

    def text(self, expression: Expression) -> str:
        """Return the expression without brackets."""
        match expression:
            case Literal(value):
                return _constant(value)
            case Interpolation(parts):
                return self._interpolation(parts)
            case Name():
                return self._name(expression)
            case Member():
                return self._member(expression)
            case Index(base, key):
                return f"{self.text(base)}[{self.text(key)}]"
            case Call():
                return self._call(expression)
            case Operation(operator, operands):
                return self._operation(operator, operands)
            case ObjectNode(entries):
                pairs = [part for key, value in entries for part in (self._key_text(key), self.text(value))]
                return f"createObject({', '.join(pairs)})"
            case ArrayNode(items):
                return f"createArray({', '.join(map(self.text, items))})"
            case Loop():
                return self._loop(expression)
        raise TypeError(expression)

    def resource_id(self, one: Deployed) -> str:
        """Return the text of the id of a resource or module."""
        chain = self._symbols.ancestors(one)
        names = ", ".join(self.text(each.name) for each in chain)
        scope = chain[0].scope
        if scope is None:
            return f"resourceId('{one.type}', {names})"
        if one.is_module:
            group = self.text(self.group_of(one))
            place = f"format('/subscriptions/{{0}}/resourceGroups/{{1}}', subscription().subscriptionId, {group})"
            return f"extensionResourceId({place}, '{one.type}', {names})"
        return f"extensionResourceId({self.scope_id(one)}, '{one.type}', {names})"

    def group_of(self, module: Deployed) -> Expression:
        """Return the resource group of a module with a scope."""
        scope = module.scope
        if isinstance(scope, Call) and scope.name == "resourceGroup" and len(scope.arguments) == 1:
            return scope.arguments[0]
        raise BicepError(f"the scope of {module.symbol} is not resourceGroup(NAME)", module.declaration.line)

    def scope_id(self, one: Deployed) -> str:
        """Return the text of the id of the resource that this one extends."""
        if not isinstance(one.scope, Name) or one.scope.name not in self._symbols.deployed:
            raise BicepError(f"the scope of {one.symbol} is not a resource of this file", one.declaration.line)
        self.references.add(one.scope.name)
        return self.resource_id(self._symbols.deployed[one.scope.name])

    def _key(self, key: str | Interpolation) -> str:
        return key if isinstance(key, str) else f"[{self.text(key)}]"

    def _key_text(self, key: str | Interpolation) -> str:
        return _constant(key) if isinstance(key, str) else self.text(key)

    def _interpolation(self, parts: tuple[str | Expression, ...]) -> str:
        template, values = "", list[str]()
        for part in parts:
            if isinstance(part, str):
                template += part.replace("{", "{{").replace("}", "}}")
            else:
                template += f"{{{len(values)}}}"
                values.append(self.text(part))
        return f"format({', '.join((_constant(template), *values))})"

    def _name(self, found: Name) -> str:
        name = found.name
        if name in self._local:
            return self._local[name]
        if name in self._symbols.parameters:
            self.used.add(name)
            return f"parameters('{name}')"
        if name in self._symbols.variables:
            self.used.add(name)
            return f"variables('{name}')"
        raise BicepError(f"{name} is not declared, or is a resource that is used as a value", found.line)

    def _member(self, member: Member) -> str:
        base = member.base
        if isinstance(base, Name) and base.name in self._symbols.deployed and base.name not in self._local:
            return self._property(self._symbols.deployed[base.name], member)
        if isinstance(base, Member) and isinstance(base.base, Name) and base.name == "outputs":
            one = self._symbols.deployed.get(base.base.name)
            if one is not None and one.is_module:
                self.references.add(one.symbol)
                return f"reference({self.resource_id(one)}, '{DEPLOYMENTS_VERSION}').outputs.{member.name}.value"
        return f"{self.text(base)}.{member.name}"

    def _property(self, one: Deployed, member: Member) -> str:
        if one.loop is not None:
            raise BicepError(f"{one.symbol} is a loop: its items have no properties here", member.line)
        if not one.declaration.is_existing:
            self.references.add(one.symbol)
        if member.name == "id":
            return self.resource_id(one)
        if member.name == "name":
            return self.text(one.name)
        if one.type == DEPLOYMENTS or member.name not in ("properties", "identity"):
            raise BicepError(f"{one.symbol}.{member.name} is not supported", member.line)
        found = f"reference({self.resource_id(one)}, '{one.api_version}'"
        return f"{found})" if member.name == "properties" else f"{found}, 'full').{member.name}"

    def _call(self, call: Call) -> str:
        if call.base is not None or call.name not in SHARED_FUNCTIONS:
            raise BicepError(f"the function {call.name} is not supported", call.line)
        return f"{call.name}({', '.join(map(self.text, call.arguments))})"

    def _operation(self, operator: str, operands: tuple[Expression, ...]) -> str:
        texts = ", ".join(map(self.text, operands))
        if operator == "!=":
            return f"not(equals({texts}))"
        return f"{OPERATORS[operator]}({texts})"

    def _loop(self, loop: Loop) -> str:
        if loop.condition is not None:
            raise BicepError("a loop with a condition is supported for resources only")
        names = [loop.item, *([loop.index] if loop.index else [])]
        source = self.text(loop.source)
        outer = dict(self._local)
        self._local |= {name: f"lambdaVariables('{name}')" for name in names}
        body = self.text(loop.body)
        self._local = outer
        return f"map({source}, lambda({', '.join(_constant(name) for name in names)}, {body}))"


def _constant(value: str | int | bool | None) -> str:
    if isinstance(value, str):
        return "'{}'".format(value.replace("'", "''"))
    if isinstance(value, bool):
        return "true()" if value else "false()"
    return "null()" if value is None else str(value)
