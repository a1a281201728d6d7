"""Evaluates ARM JSON: the resources that a deployment with some parameters sends. Called by tests/infra/azure and
tools.infra.azure_types.used.

    deployment = evaluate(template, parameters)
    deployment.resources        # those of modules too, without those whose condition is false
    deployment.outputs

A value that only Azure knows is a `Later`, or a text with `<...>` in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.infra.arm.builtins import FUNCTIONS, Later, resource_id
from tools.infra.arm.expression_parser import Access, ArmExpression, Constant, FunctionCall, parse_expression

_DEPLOYMENTS = "Microsoft.Resources/deployments"


@dataclass
class Deployment:
    resources: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, Deployment] = field(default_factory=dict)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [resource for resource in self.resources if resource["type"] == kind]


def evaluate(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> Deployment:
    """Raises ValueError: a parameter is missing, unknown or not allowed."""
    return _TemplateEvaluator(template, parameters).evaluate()


class _TemplateEvaluator:
    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self._template = template
        self._parameters: dict[str, Any] = {}
        self._found = Deployment()
        self._pending: dict[str, Mapping[str, Any]] = {}
        self._local: dict[str, Any] = {}
        self._parameters = self._check_parameters(parameters)

    def evaluate(self) -> Deployment:
        modules = [each for each in self._template["resources"] if each["type"] == _DEPLOYMENTS]
        for module in modules:
            if self._value(module.get("condition", True)):
                self._pending[str(self._value(module["name"]))] = module
        for name in list(self._pending):
            self._module(name)
        for resource in self._template["resources"]:
            if resource["type"] != _DEPLOYMENTS:
                self._found.resources += self._resources(resource)
        self._found.outputs = {name: self._value(each["value"]) for name, each in self._template["outputs"].items()}
        return self._found

    def _module(self, name: str) -> Deployment:
        """Evaluate a module at its first use: outputs of one are parameters of another."""
        if name not in self._found.modules:
            properties = self._pending[name]["properties"]
            given = {
                key: Later(f"secret {each['reference']['secretName']}")
                if "reference" in each
                else self._value(each["value"])
                for key, each in properties["parameters"].items()
            }
            found = evaluate(properties["template"], given)
            self._found.modules[name] = found
            self._found.resources += found.resources
        return self._found.modules[name]

    def _resources(self, resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        count = self._value(resource["copy"]["count"]) if "copy" in resource else 1
        for index in range(count):
            self._local = {"copyIndex": index}
            if self._value(resource.get("condition", True)):
                body = {key: value for key, value in resource.items() if key not in ("condition", "copy")}
                yield self._value(body)
        self._local = {}

    def _check_parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        declared = self._template["parameters"]
        if unknown := given.keys() - declared.keys():
            raise ValueError(f"unknown parameters: {', '.join(sorted(unknown))}")
        found = {}
        for name, each in declared.items():
            if name not in given and "defaultValue" not in each:
                raise ValueError(f"the parameter {name} is missing")
            found[name] = given[name] if name in given else self._value(each["defaultValue"])
            _check_constraints(name, each, found[name])
        return found

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._value(key): self._value(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._value(each) for each in value]
        if isinstance(value, str) and value.startswith("[["):
            return value[1:]
        if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
            return self._expression(parse_expression(value[1:-1]))
        return value

    def _expression(self, expression: ArmExpression) -> Any:
        if isinstance(expression, Constant):
            return expression.value
        if isinstance(expression, Access):
            base, key = self._expression(expression.base), self._expression(expression.key)
            return Later(f"{base.text}.{key}") if isinstance(base, Later) else base[key]
        return self._call(expression)

    def _call(self, call: FunctionCall) -> Any:
        arguments = call.arguments
        if call.name == "if":  # only one of both is evaluated
            return self._expression(arguments[1] if self._expression(arguments[0]) else arguments[2])
        if call.name == "map":
            return self._map(*arguments)
        values = [self._expression(each) for each in arguments]
        if call.name == "parameters":
            return self._parameters[values[0]]
        if call.name == "variables":
            return self._value(self._template["variables"][values[0]])
        if call.name == "lambdaVariables":
            return self._local[values[0]]
        if call.name == "copyIndex":
            return self._local["copyIndex"]
        if call.name == "reference":
            return self._reference(str(values[0]))
        return FUNCTIONS[call.name](*values)

    def _map(self, source: ArmExpression, function: ArmExpression) -> list[Any]:
        assert isinstance(function, FunctionCall)
        *names, body = function.arguments
        keys = [str(self._expression(name)) for name in names]
        found = []
        for index, item in enumerate(self._expression(source)):
            outer, self._local = self._local, {**self._local, **dict(zip(keys, (item, index), strict=False))}
            found.append(self._expression(body))
            self._local = outer
        return found

    def _reference(self, target: str) -> Any:
        marker = f"/providers/{_DEPLOYMENTS}/"
        if marker not in target:
            return Later(f"reference {target.rpartition('/providers/')[2]}")
        name = target.partition(marker)[2]
        if name not in self._pending:
            raise ValueError(f"{name} is used, and is not deployed")
        outer, self._local = self._local, {}
        outputs = self._module(name).outputs
        self._local = outer
        return {"outputs": {key: {"value": value} for key, value in outputs.items()}}


def _check_constraints(name: str, declared: Mapping[str, Any], value: Any) -> None:
    if isinstance(value, Later):
        return
    kinds = {"string": str, "securestring": str, "int": int, "bool": bool, "array": list, "object": dict}
    if not isinstance(value, kinds[declared["type"]]):
        raise ValueError(f"{name} is not of type {declared['type']}: {value!r}")
    if "allowedValues" in declared and value not in declared["allowedValues"]:
        raise ValueError(f"{name} is not allowed: {value!r}")
    size = len(value) if isinstance(value, str) else value
    least = declared.get("minLength", declared.get("minValue"))
    most = declared.get("maxLength", declared.get("maxValue"))
    if (least is not None and size < least) or (most is not None and size > most):
        raise ValueError(f"{name} is out of range: {value!r}")


__all__ = ["Deployment", "evaluate", "resource_id"]
