"""Evaluates Bicep files: the resources that a deployment with some parameters sends. Called by tests.infra.azure.

    deployment = evaluate(BicepFile(path), {"name": "scheduler"})
    deployment.resources        # those of modules too, without those whose condition is false
    deployment.outputs

It knows the functions that infra/bicep uses; another one is an error. A value that only Azure knows is a `Later`, or a
text with `<...>` in it.
"""

from __future__ import annotations

import hashlib
import json
import operator
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.infra.azure.bicep import BicepError, BicepFile, Declaration, Node

_SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
_SUFFIXES = {"storage": "core.windows.net", "keyvaultDns": ".vault.azure.net", "acrLoginServer": ".azurecr.io"}
_KINDS = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}


class Later:
    """A value that Azure gives during the deployment. `text`: which."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"<{self.text}>"

    __repr__ = __str__


def is_later(value: Any) -> bool:
    """Return whether a value is, or contains, one that Azure gives later."""
    return isinstance(value, Later) or (isinstance(value, str) and "<" in value and ">" in value)


def is_in_range(value: Any, limits: Mapping[str, Any]) -> bool:
    """Return whether the length of a text, an array or an object, or a number, is within `minLength`, `maxValue` ..."""
    size = len(value) if isinstance(value, str | list | dict) else value
    least, most = limits.get("minLength", limits.get("minValue")), limits.get("maxLength", limits.get("maxValue"))
    return (least is None or size >= least) and (most is None or size <= most)


@dataclass
class Deployment:
    resources: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [resource for resource in self.resources if resource["type"] == kind]


def evaluate(file: BicepFile, parameters: Mapping[str, Any], group: str = "rg-scheduler") -> Deployment:
    """Raises BicepError: a parameter is missing, unknown or not allowed, or a construct is not known here.

    `group`: name of the resource group, or its id.
    """
    return _Evaluator(file, parameters, group).evaluate()


def evaluate_parameters(path: Path) -> dict[str, Any]:
    """Return the values in a .bicepparam file. Raises BicepError."""
    return _Evaluator(BicepFile(path), {}, "").parameters


class _Evaluator:
    def __init__(self, file: BicepFile, given: Mapping[str, Any], group: str) -> None:
        self._file = file
        self._group = group
        self._modules: dict[str, Deployment] = {}
        self.parameters: dict[str, Any] = {}
        declared = file.of_kind("param")
        if unknown := sorted(given.keys() - {each.name for each in declared}):
            raise self._fail(f"unknown parameters: {', '.join(unknown)}")
        for each in declared:
            self.parameters[each.name] = self._parameter(each, given)

    def evaluate(self) -> Deployment:
        resources = [each for declared in self._file.of_kind("resource") for each in self._resources(declared)]
        for declared in self._file.of_kind("module"):
            if any(True for _ in self._rounds(declared)):
                resources += self._module(declared).resources
        outputs = {each.name: self._output(each) for each in self._file.of_kind("output")}
        return Deployment(resources, outputs)

    def _fail(self, message: str, line: int = 0) -> BicepError:
        return BicepError(message, line, self._file.path.name)

    def _parameter(self, declared: Declaration, given: Mapping[str, Any]) -> Any:
        name, limits = declared.name, {key: self._value(node) for key, node in declared.decorators.items() if node}
        if name not in given and declared.value is None:
            raise self._fail(f"the parameter {name} is missing", declared.line)
        value = given[name] if name in given else self._value(declared.value)
        self._check_type(declared, value)
        if isinstance(value, Later):
            return value
        if value not in limits.get("allowed", [value]):
            raise self._fail(f"{name} is not allowed: {value!r}", declared.line)
        if not is_in_range(value, limits):
            raise self._fail(f"{name} is out of range: {value!r}", declared.line)
        return value

    def _output(self, declared: Declaration) -> Any:
        value = self._value(declared.value)
        self._check_type(declared, value)
        return value

    def _check_type(self, declared: Declaration, value: Any) -> None:
        if declared.type and not isinstance(value, Later) and type(value) is not _KINDS[declared.type]:
            raise self._fail(f"{declared.name} is not of type {declared.type}: {value!r}", declared.line)

    def _rounds(self, declared: Declaration) -> Iterator[dict[str, Any]]:
        """Yield the variables of each round of a loop, or none at all, for each time that a declaration is deployed."""
        if declared.is_existing or (declared.condition is not None and not self._value(declared.condition)):
            return
        if declared.value is not None and declared.value.kind == "for":
            yield from self._loop(declared.value, {})
        else:
            yield {}

    def _loop(self, node: Node, variables: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        item, index, source, condition, _ = node.parts
        for at, value in enumerate(self._value(source, variables)):
            inner = {**variables, item: value, index: at}
            if condition is None or self._value(condition, inner):
                yield inner

    def _resources(self, declared: Declaration) -> Iterator[dict[str, Any]]:
        kind, _, version = declared.type.partition("@")
        for variables in self._rounds(declared):
            body = {key: node for key, node in declared.body.items() if key not in ("name", "parent", "dependsOn")}
            found = {key: self._value(node, variables) for key, node in body.items()}
            if "scope" in found:
                found["scope"] = found["scope"]["id"]
            name = "/".join(self._names(declared, variables))
            yield {"type": kind, "apiVersion": version, "name": name, **found}

    def _names(self, declared: Declaration, variables: Mapping[str, Any]) -> list[str]:
        """Return the names of the resources that hold it, and its own."""
        own = [str(self._value(declared.body["name"], variables))]
        parent = declared.body.get("parent")
        return own if parent is None else self._names(self._file.symbols[parent.parts[0]], {}) + own

    def _module(self, declared: Declaration) -> Deployment:
        """Evaluate a module at its first use: outputs of one are parameters of another."""
        if declared.name not in self._modules:
            if list(self._rounds(declared)) != [{}]:
                raise self._fail(f"{declared.name} is used, and is not deployed", declared.line)
            body = declared.body
            group = self._value(body["scope"])["id"] if "scope" in body else self._group
            parameters, file = body.get("params", Node("object", ())), self._file.modules[declared.type]
            secure = {each.name for each in file.of_kind("param") if "secure" in each.decorators}
            if leaks := {key for key, node in parameters.entries().items() if node.kind == "secret"} - secure:
                raise self._fail(f"{', '.join(leaks)} of {declared.name} is not secure", declared.line)
            self._modules[declared.name] = evaluate(file, self._value(parameters), group)
        return self._modules[declared.name]

    def _value(self, node: Node | None, variables: Mapping[str, Any] = MappingProxyType({})) -> Any:
        assert node is not None
        parts = node.parts
        if node.kind == "constant":
            return parts[0]
        if node.kind == "name":
            return variables[parts[0]] if parts[0] in variables else self._symbol(self._file.symbols[parts[0]])
        if node.kind == "if":  # only one of both is evaluated
            return self._value(parts[1] if self._value(parts[0], variables) else parts[2], variables)
        if node.kind == "for":
            return [self._value(parts[-1], inner) for inner in self._loop(node, variables)]
        if node.kind == "access" and (looped := self._looped(parts[0])) is not None:
            assert looped.value is not None
            rounds = self._loop(looped.value, {}) if looped.is_existing else self._rounds(looped)
            return self._symbol(looped, list(rounds)[self._value(parts[1], variables)])
        values = [self._value(part, variables) if isinstance(part, Node) else part for part in parts]
        if node.kind == "text":
            return "".join(map(str, values))
        if node.kind == "array":
            return values
        if node.kind == "object":
            return dict(zip(values[::2], values[1::2], strict=True))
        if node.kind == "secret":
            if not self._file.symbols[parts[0].parts[0]].is_existing:
                raise self._fail("getSecret needs an existing vault", node.line)
            return Later(f"secret {values[1]}")
        if node.kind == "safe access":
            return values[0].get(values[1])
        if node.kind == "access":
            return self._access(values[0], values[1], node.line)
        return self._call(*values, line=node.line)

    def _looped(self, node: Node) -> Declaration | None:
        """Return the resource of a name, if a loop declares it: `name[0]` is one of its rounds."""
        declared = self._file.symbols.get(node.parts[0]) if node.kind == "name" else None
        is_looped = declared is not None and declared.value is not None and declared.value.kind == "for"
        return declared if is_looped and declared is not None and declared.kind == "resource" else None

    def _symbol(self, declared: Declaration, variables: Mapping[str, Any] = MappingProxyType({})) -> Any:
        if declared.kind == "param":
            return self.parameters[declared.name]
        if declared.kind == "var":
            return self._value(declared.value)
        if declared.kind == "module":
            return {"outputs": self._module(declared).outputs}
        kind, names = declared.type.partition("@")[0], self._names(declared, variables)
        where = self._id(kind, *names)
        properties = Later(f"reference {where.rpartition('/providers/')[2]}")
        return {"id": where, "name": names[-1], "type": kind, "properties": properties}

    def _access(self, base: Any, key: Any, line: int) -> Any:
        if isinstance(base, Later):
            return Later(f"{base.text}.{key}")
        try:
            return base[key]
        except LookupError:
            raise self._fail(f"{key} does not exist", line) from None

    def _call(self, name: str, *arguments: Any, line: int) -> Any:
        if name == "fail":
            raise self._fail(arguments[0], line)
        own: dict[str, Callable[..., Any]] = {"resourceGroup": self._resource_group, "resourceId": self._id}
        try:
            function = own.get(name) or FUNCTIONS[name]
        except KeyError:
            raise self._fail(f"the function {name} is not supported", line) from None
        return function(*arguments)

    def _resource_group(self, *names: str) -> dict[str, str]:
        """`names`: of the group, or the id of its subscription before that."""
        own, _, group = self._group.rpartition("/resourceGroups/")
        name = names[-1] if names else group
        below = f"/subscriptions/{names[0]}" if len(names) == 2 else own or _SUBSCRIPTION
        return {"id": f"{below}/resourceGroups/{name}", "name": name, "location": "westeurope"}

    def _id(self, kind: str, *names: str) -> str:
        return _id_below(self._resource_group()["id"], kind, *names)


def _id_below(scope: str, kind: str, *names: str) -> str:
    namespace, *types = kind.split("/")
    pairs = "/".join(f"{each}/{name}" for each, name in zip(types, names, strict=True))
    return f"{scope}/providers/{namespace}/{pairs}"


def _unique_string(*parts: Any) -> str:
    """Not Azure's function: another text of the same form, of 13 letters."""
    number = int.from_bytes(hashlib.sha256("-".join(map(str, parts)).encode()).digest()[:9], "big")
    return "".join("abcdefghijklmnopqrstuvwxyz234567"[number >> (5 * at) & 31] for at in range(13))


def _union(*values: Any) -> Any:
    if isinstance(values[0], list):
        return list(dict.fromkeys(item for each in values for item in each))
    found: dict[str, Any] = {}
    for key, value in (entry for each in values for entry in each.items()):
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = _union(found[key], value) if both else value
    return found


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "??": lambda first, second: second if first is None else first,
    "||": lambda first, second: first or second,
    "&&": lambda first, second: first and second,
    "!": operator.not_,
    **{"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
    **{"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv, "%": operator.mod},
    "concat": lambda *arrays: [item for array in arrays for item in array],
    "contains": operator.contains,
    "empty": lambda value: value is None or len(value) == 0,
    "environment": lambda: {"suffixes": _SUFFIXES},
    "flatten": lambda arrays: [item for array in arrays for item in array],
    "guid": lambda *parts: str(uuid.uuid5(uuid.NAMESPACE_URL, "-".join(map(str, parts)))),
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value, key=str.lower)],
    "json": json.loads,
    "max": max,
    "replace": lambda text, old, new: text.replace(old, new),
    "split": lambda text, separator: text.split(separator),
    "subscription": lambda: {"tenantId": "22222222-2222-2222-2222-222222222222"},
    "subscriptionResourceId": lambda kind, *names: _id_below(_SUBSCRIPTION, kind, *names),
    "union": _union,
    "uniqueString": _unique_string,
}
"""Operators, and the functions whose value is known without a subscription."""
