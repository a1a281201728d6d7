"""What a caller that is limited to tags gets its own copy of. What it sees: tests/scheduler/api/access."""

from __future__ import annotations

import ast

from tests.project.product import modules

SHARED = {"AlertExplainer", "SecretMonitor"}
"""Parts that all callers share: their routes decide what a caller may ask of them."""


def test_each_part_of_a_room_that_has_the_catalog_says_whether_it_reads_or_changes() -> None:
    """Without the base class, a caller that is limited to tags would see all jobs through it."""
    undecided = [
        f"{module.name}.{node.name}"
        for module in modules()
        if module.name.startswith("scheduler.features.")
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and node.name not in SHARED and _takes_catalog(node)
        if not {"Query", "Operation"} & {ast.unparse(base) for base in node.bases}
    ]

    assert undecided == []


def _takes_catalog(node: ast.ClassDef) -> bool:
    return any(
        isinstance(method, ast.FunctionDef)
        and method.name == "__init__"
        and any(argument.annotation and ast.unparse(argument.annotation) == "Catalog" for argument in method.args.args)
        for method in node.body
    )
