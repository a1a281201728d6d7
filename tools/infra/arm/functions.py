"""The functions that both languages have, with the same name and arguments. Used by tools.infra.arm.expressions."""

from __future__ import annotations

SHARED_FUNCTIONS = frozenset(
    {
        "concat",
        "contains",
        "empty",
        "environment",
        "format",
        "guid",
        "items",
        "json",
        "length",
        "max",
        "min",
        "resourceGroup",
        "resourceId",
        "subscription",
        "subscriptionResourceId",
        "toLower",
        "union",
        "uniqueString",
    }
)

OPERATORS = {
    "&&": "and",
    "||": "or",
    "!": "not",
    "==": "equals",
    "<": "less",
    "<=": "lessOrEquals",
    ">": "greater",
    ">=": "greaterOrEquals",
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "%": "mod",
    "??": "coalesce",
    "?:": "if",
}
