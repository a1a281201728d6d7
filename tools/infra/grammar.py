"""Reads Bicep files by the grammar of tree-sitter, which accepts the whole language. Run by tools.infra.checks.

    python tools/infra/grammar.py FILE ...      # exit code 1: one line on standard output for each error

It runs in the environment of checkov, which has the grammar, and therefore imports nothing of the project.
"""

import sys
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser


def find_errors(content: bytes) -> list[Node]:
    """Return the nodes that the grammar does not allow or misses."""
    found: list[Node] = []
    pending = [Parser(Language(tree_sitter_bicep.language())).parse(content).root_node]
    while pending:
        node = pending.pop()
        if node.type == "ERROR" or node.is_missing:
            found.append(node)
        else:
            pending.extend(node.children)
    return found


def main(paths: list[str]) -> int:
    errors = [(path, node) for path in paths for node in find_errors(Path(path).read_bytes())]
    for path, node in errors:
        print(f"{path}:{node.start_point[0] + 1}: the grammar of Bicep does not allow {node.text[:40]!r}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
