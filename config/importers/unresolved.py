"""Texts of templates whose value is only known when they are deployed. Used by the sources that evaluate templates."""

from __future__ import annotations

from config.importers.errors import NotCarriedOver
from config.importers.node import SourceNode

SET_IT = "give the value by --set NAME=VALUE"


class UnresolvedText(str):
    """The text of an expression without a value. `needs`: the parameter, variable or function that has none."""

    __slots__ = ("needs",)
    needs: str

    def __new__(cls, text: str, needs: str) -> UnresolvedText:
        made = super().__new__(cls, text)
        made.needs = needs
        return made


def is_unresolved(node: SourceNode | None) -> bool:
    return node is not None and isinstance(node.value, UnresolvedText)


def refuse_unresolved(node: SourceNode) -> None:
    """Raises NotCarriedOver: the value is not known."""
    if isinstance(node.value, UnresolvedText):
        raise NotCarriedOver(f"its value is only known when the template is deployed ({node.value.needs})", SET_IT)
