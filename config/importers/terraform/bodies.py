"""Parses files in HCL: attributes and blocks. Called by configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.importers.terraform.evaluation import Expression
from config.importers.terraform.expressions import parse_expression
from config.importers.terraform.scanner import Scanner

_MOST_PARTS = 100_000


@dataclass
class HclBlock:
    """`resource "a" "b" { ... }` has the kind `resource` and two labels."""

    kind: str
    labels: tuple[str, ...]
    line: int
    attributes: dict[str, Expression] = field(default_factory=dict)
    blocks: list[HclBlock] = field(default_factory=list)


def parse_hcl(text: str, shown: str) -> HclBlock:
    """Return a file as a block without a kind. Raises UnreadableSource with line and column."""
    scanner = Scanner(text, shown)
    root = HclBlock("", (), 1)
    _parse_parts(scanner, root, is_file=True)
    return root


def _parse_parts(scanner: Scanner, block: HclBlock, *, is_file: bool) -> None:
    scanner.enter()
    for _ in range(_MOST_PARTS):
        scanner.skip_blanks()
        if scanner.is_at_end and is_file:
            break
        if not is_file and scanner.take("}"):
            break
        _parse_part(scanner, block)
    else:
        scanner.fail("a block has too many parts")
    scanner.leave()


def _parse_part(scanner: Scanner, block: HclBlock) -> None:
    line = scanner.line()
    name = scanner.take_word() or scanner.fail("expected the name of an attribute or a block")
    scanner.skip_spaces()
    if scanner.peek() == "=" and scanner.peek(2) != "==":
        scanner.take("=")
        if name in block.attributes:
            scanner.fail(f"{name} occurs twice")
        block.attributes[name] = parse_expression(scanner)
        scanner.take(",")
        return
    labels: list[str] = []
    while not scanner.take("{"):
        label = _take_label(scanner)
        if not label:
            scanner.fail(f"expected = or {{ after {name}")
        labels.append(label)
        scanner.skip_spaces()
    inner = HclBlock(name, tuple(labels), line)
    _parse_parts(scanner, inner, is_file=False)
    block.blocks.append(inner)


def _take_label(scanner: Scanner) -> str:
    if not scanner.take('"'):
        return scanner.take_word()
    end = scanner.text.find('"', scanner.at)
    if end < 0 or "\n" in scanner.text[scanner.at : end]:
        scanner.fail("a label has no closing quote")
    label = scanner.text[scanner.at : end]
    scanner.at = end + 1
    return label
