"""Conditions of Gatus as data: two operands and an operator. Used by mapping and its helpers. Pure.

Gatus has no grammar: the first operator that the text contains, with blanks around it, separates it. Names of
placeholders are read without regard to case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from config.importers.errors import NotCarriedOver

OPERATORS = ("==", "!=", "<=", ">=", ">", "<")
"""In the order in which Gatus looks for them."""
FLIPPED = {"==": "==", "!=": "!=", "<=": ">=", ">=": "<=", ">": "<", "<": ">"}
_FUNCTION = re.compile(r"(len|has)\((.*)\)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\[([A-Za-z_]+)\](.*)", re.DOTALL)


class Placeholder(StrEnum):
    """What an operand stands for."""

    LITERAL = "literal"
    STATUS = "STATUS"
    IP = "IP"
    DNS_RCODE = "DNS_RCODE"
    RESPONSE_TIME = "RESPONSE_TIME"
    BODY = "BODY"
    CONNECTED = "CONNECTED"
    CERTIFICATE_EXPIRATION = "CERTIFICATE_EXPIRATION"
    DOMAIN_EXPIRATION = "DOMAIN_EXPIRATION"
    CONTEXT = "CONTEXT"


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a condition. `text`: as written. `function`: len, has or empty. `path`: below the body."""

    text: str
    placeholder: Placeholder = Placeholder.LITERAL
    function: str = ""
    path: str = ""

    @property
    def is_literal(self) -> bool:
        return self.placeholder is Placeholder.LITERAL


@dataclass(frozen=True, slots=True)
class Condition:
    """`left` is the placeholder if only one side is one."""

    left: Operand
    operator: str
    right: Operand


def parse_condition(text: str) -> Condition:
    """Return a condition. Raises NotCarriedOver: Gatus refuses it."""
    for operator in OPERATORS:
        if f" {operator} " in text:
            first, second, *_ = text.split(f" {operator} ")
            left, right = _parse_operand(first.strip()), _parse_operand(second.strip())
            if left.is_literal and not right.is_literal:
                return Condition(right, FLIPPED[operator], left)
            return Condition(left, operator, right)
    raise NotCarriedOver("Gatus refuses it: it has no operator between blanks")


def _parse_operand(text: str) -> Operand:
    function, inner = "", text
    if (found := _FUNCTION.fullmatch(text)) is not None:
        function, inner = found[1], found[2]
    placeholder = _PLACEHOLDER.fullmatch(inner)
    name = placeholder[1].upper() if placeholder is not None else ""
    if placeholder is None or name not in Placeholder.__members__ or name == "LITERAL":
        return Operand(text)
    rest = placeholder[2]
    has_path = name in ("BODY", "CONTEXT") and rest[:1] in (".", "[")
    if rest and not has_path:
        return Operand(text)
    return Operand(text, Placeholder[name], function, rest.removeprefix("."))
