"""A snapshot of all log calls of the product, so that a change of their wording is reviewed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from syrupy.assertion import SnapshotAssertion

from tests.project.product import modules

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def test_the_log_calls(text_snapshot: SnapshotAssertion) -> None:
    calls = {f"{level.upper():<9} {template}" for module in modules() for level, template in log_calls(module.tree)}

    assert "\n".join([*sorted(calls), ""]) == text_snapshot


def log_calls(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield level and message of each call such as `_log.warning("could not ...", run)`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr in LEVELS and ast.unparse(node.func.value).lower().rpartition(".")[2].endswith("log"):
            yield node.func.attr, message_of(node.args[0])


def message_of(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value).replace("\n", "\\n")
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{...}" for part in node.values)
    return f"<{ast.unparse(node)}>"
