"""Imports tests of Datadog Synthetics, as `GET /api/v1/synthetics/tests` returns all or one. Called by registry.

The answer of `GET /api/v1/synthetics/variables` in another file has the values of global variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.importers.errors import UnreadableSource
from config.importers.import_context import ImportContext
from config.importers.node import SourceNode
from config.importers.source_file import SourceFile
from config.importers.sources.datadog.synthetic_tests import import_test
from config.importers.sources.datadog.terraform import KINDS, convert_resource
from config.importers.terraform.resources import has_resources, is_hcl, read_resources
from config.importers.values.reading import find_text

_EXPECTED = "save the answer of GET /api/v1/synthetics/tests, or of /api/v1/synthetics/tests/ID for tests with steps"
_TYPES = frozenset({"api", "browser", "mobile", "network"})


def detects(file: SourceFile) -> bool:
    """Return whether the file has tests."""
    if is_hcl(file):
        return has_resources(file, KINDS)
    if file.head.lstrip()[:1] not in (b"{", b"["):
        return False
    return has_resources(file, KINDS) or any(_is_test(node) for node in _list_tests(file.tree.root))


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add the jobs of all files. Raises UnreadableSource."""
    tests: list[SourceNode] = []
    globals_: dict[str, tuple[str, SourceNode]] = {}
    terraform = [file for file in files if is_hcl(file) or has_resources(file, KINDS)]
    for _, node in read_resources(terraform, context, KINDS, are_added=False) if terraform else ():
        tests.append(context.add_tree(convert_resource(node)))
    for file in files:
        if file in terraform:
            continue
        root = context.add_tree(file.tree)
        variables = root.child("variables")
        found = list(_list_tests(root))
        if variables is not None and not any(map(_is_test, found)):
            _read_globals(context, variables, globals_)
            continue
        if root.child("tests") is None and not any(map(_is_test, found)):
            raise UnreadableSource(file.shown, "has no tests", _EXPECTED)
        tests += found
    for node in tests:
        if _is_test(node):
            import_test(context, node, globals_)
        else:
            context.drop(node, "is not a test: it has no type and configuration", _EXPECTED)


def _list_tests(root: SourceNode) -> Iterator[SourceNode]:
    listed = root.child("tests") or root
    if isinstance(listed.value, list):
        yield from listed.children()
    elif isinstance(listed.value, dict) and listed.value:
        yield listed


def _is_test(node: SourceNode) -> bool:
    return isinstance(node.value, dict) and str(node.value.get("type")) in _TYPES and "config" in node.value


def _read_globals(context: ImportContext, listed: SourceNode, globals_: dict[str, tuple[str, SourceNode]]) -> None:
    for node in listed.children():
        name, value = find_text(node.child("name")), node.child("value", "value")
        text = find_text(value)
        secure = node.child("value", "secure")
        if name and value is not None and text and not (secure is not None and secure.value):
            globals_[name] = (text, value)
        context.use(node, "the value of a global variable" if text else "a secret whose value the API does not return")
