"""The functions of ARM JSON whose value is known without a subscription. Used by tools.infra.arm.evaluation."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
GROUP = "rg-scheduler"
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


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


def resource_group(name: str = GROUP) -> dict[str, str]:
    return {"id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}", "name": name, "location": "westeurope"}


def unique_string(*parts: Any) -> str:
    """Not Azure's function: another text of the same form, of 13 letters."""
    number = int.from_bytes(hashlib.sha256("-".join(map(str, parts)).encode()).digest()[:9], "big")
    return "".join(_LETTERS[number >> (5 * at) & 31] for at in range(13))


def resource_id(kind: str, *names: Any) -> str:
    return _id_below(resource_group()["id"], kind, names)


def extension_resource_id(scope: Any, kind: str, *names: Any) -> str:
    return _id_below(str(scope), kind, names)


def subscription_resource_id(kind: str, *names: Any) -> str:
    return _id_below(f"/subscriptions/{SUBSCRIPTION}", kind, names)


def _id_below(scope: str, kind: str, names: tuple[Any, ...]) -> str:
    namespace, *types = kind.split("/")
    if len(types) != len(names):
        raise ValueError(f"{kind} has {len(types)} parts, not {len(names)}")
    pairs = "/".join(f"{one}/{name}" for one, name in zip(types, names, strict=True))
    return f"{scope}/providers/{namespace}/{pairs}"


def format_text(template: str, *values: Any) -> str:
    texts = ["True" if value is True else "False" if value is False else str(value) for value in values]
    return template.format(*texts)


def union(*values: Any) -> Any:
    """Objects are merged, the last one winning; arrays are joined without repeats."""
    if isinstance(values[0], Mapping):
        found: dict[str, Any] = {}
        for value in values:
            for key, each in value.items():
                both = isinstance(each, Mapping) and isinstance(found.get(key), Mapping)
                found[key] = union(found[key], each) if both else each
        return found
    items = [item for value in values for item in value]
    return [item for at, item in enumerate(items) if item not in items[:at]]


def concat(*values: Any) -> Any:
    return [item for value in values for item in value] if isinstance(values[0], list) else "".join(map(str, values))


def items(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Sorted by key, as ARM does."""
    return [{"key": key, "value": value[key]} for key in sorted(value, key=str.lower)]


def create_object(*parts: Any) -> dict[str, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "and": lambda *values: all(values),
    "concat": concat,
    "contains": lambda container, item: item in container,
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "createArray": lambda *values: list(values),
    "createObject": create_object,
    "div": lambda a, b: a // b,
    "empty": lambda value: not value and value != 0,
    "environment": lambda: {
        "suffixes": {
            "storage": "core.windows.net",
            "keyvaultDns": ".vault.azure.net",
            "acrLoginServer": ".azurecr.io",
        }
    },
    "equals": lambda a, b: a == b,
    "extensionResourceId": extension_resource_id,
    "false": lambda: False,
    "format": format_text,
    "greater": lambda a, b: a > b,
    "greaterOrEquals": lambda a, b: a >= b,
    "guid": lambda *parts: str(uuid.uuid5(uuid.NAMESPACE_URL, "-".join(map(str, parts)))),
    "items": items,
    "json": json.loads,
    "length": len,
    "less": lambda a, b: a < b,
    "lessOrEquals": lambda a, b: a <= b,
    "max": max,
    "min": min,
    "mod": lambda a, b: a % b,
    "mul": lambda a, b: a * b,
    "not": lambda value: not value,
    "null": lambda: None,
    "or": lambda *values: any(values),
    "resourceGroup": resource_group,
    "resourceId": resource_id,
    "sub": lambda a, b: a - b,
    "subscription": lambda: {
        "id": f"/subscriptions/{SUBSCRIPTION}",
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
    },
    "subscriptionResourceId": subscription_resource_id,
    "toLower": str.lower,
    "true": lambda: True,
    "union": union,
    "uniqueString": unique_string,
}
