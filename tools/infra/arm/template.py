"""Compiles Bicep files to ARM JSON. Called by tools.infra.arm.documents and by tests/infra/azure.

It compiles what infra/bicep uses. Everything else, and an undeclared or an unused name, is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tools.infra.arm.expressions import ExpressionWriter
from tools.infra.arm.resources import ResourceWriter
from tools.infra.arm.symbols import Symbols, collect_symbols
from tools.infra.bicep.errors import BicepError
from tools.infra.bicep.parser import parse_file
from tools.infra.bicep.syntax import BicepFile, Declaration, Expression

_SCHEMAS = "https://schema.management.azure.com/schemas/2019-04-01"
_CONSTRAINTS = {
    "allowed": "allowedValues",
    "minValue": "minValue",
    "maxValue": "maxValue",
    "minLength": "minLength",
    "maxLength": "maxLength",
}
_TYPES = ("string", "int", "bool", "array", "object")
_SECURE_TYPES = {"string": "securestring", "object": "secureObject"}


def compile_template(path: Path) -> dict[str, Any]:
    """Return the template of a Bicep file, with those of its modules in it. Raises BicepError."""
    file = parse_file(path)
    try:
        return _TemplateWriter(file, path).write()
    except BicepError as error:
        raise error.in_file(path.name) from None


def compile_parameters(path: Path) -> dict[str, Any]:
    """Return the parameters of a .bicepparam file. Raises BicepError."""
    file = parse_file(path)
    writer = ExpressionWriter(collect_symbols(BicepFile((), {}, {})))
    values = {each.name: {"value": writer.value(_given(each))} for each in file.declarations}
    return {
        "$schema": f"{_SCHEMAS}/deploymentParameters.json#",
        "contentVersion": "1.0.0.0",
        "parameters": values,
    }


def _given(declared: Declaration) -> Expression:
    if declared.kind != "param" or declared.value is None:
        raise BicepError(f"{declared.name} is not a parameter with a value", declared.line)
    return declared.value


class _TemplateWriter:
    def __init__(self, file: BicepFile, path: Path) -> None:
        self._file = file
        self._path = path
        self._symbols: Symbols = collect_symbols(file)
        self._used: set[str] = set()

    def write(self) -> dict[str, Any]:
        resources = ResourceWriter(self._symbols, self._load_module)
        deployed = [one for one in self._symbols.deployed.values() if not one.declaration.is_existing]
        written = [resources.write(one) for one in deployed]
        variables = {each.name: self._value(each) for each in self._file.of_kind("var")}
        for name, value in variables.items():
            if "reference(" in str(value):
                raise BicepError(f"the variable {name} uses what is known later", self._symbols.variables[name].line)
        outputs = {each.name: self._output(each) for each in self._file.of_kind("output")}
        parameters = {each.name: self._parameter(each) for each in self._file.of_kind("param")}
        self._used |= resources.used
        if unused := sorted({*self._symbols.parameters, *self._symbols.variables} - self._used):
            raise BicepError(f"not used: {', '.join(unused)}")
        return {
            "$schema": f"{_SCHEMAS}/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0",
            "metadata": self._file.metadata,
            "parameters": parameters,
            "variables": variables,
            "resources": written,
            "outputs": outputs,
        }

    def _load_module(self, path: str) -> dict[str, Any]:
        return compile_template(self._path.parent / path)

    def _value(self, declared: Declaration) -> Any:
        writer = ExpressionWriter(self._symbols)
        found = writer.value(_required(declared))
        self._used |= writer.used
        return found

    def _output(self, declared: Declaration) -> dict[str, Any]:
        return {"type": _type_of(declared), "value": self._value(declared)}

    def _parameter(self, declared: Declaration) -> dict[str, Any]:
        decorators = declared.decorators
        writer = ExpressionWriter(self._symbols)
        found: dict[str, Any] = {"type": _type_of(declared)}
        for name, argument in decorators.items():
            if name in _CONSTRAINTS and argument is not None:
                found[_CONSTRAINTS[name]] = writer.value(argument)
            elif name == "description" and argument is not None:
                found["metadata"] = {"description": writer.value(argument)}
            elif name != "secure":
                raise BicepError(f"the decorator {name} is not supported", declared.line)
        if declared.value is not None:
            found["defaultValue"] = writer.value(declared.value)
        self._used |= writer.used
        return found


def _type_of(declared: Declaration) -> str:
    if declared.type not in _TYPES:
        raise BicepError(f"the type {declared.type!r} of {declared.name} is not supported", declared.line)
    return _SECURE_TYPES[declared.type] if "secure" in declared.decorators else declared.type


def _required(declared: Declaration) -> Expression:
    if declared.value is None:
        raise BicepError(f"{declared.name} has no value", declared.line)
    return declared.value
