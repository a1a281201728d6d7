"""Reads resources of some types from files of Terraform.

Files are `.tf` and `.tfvars` in HCL, whose variables and locals have their values, and the JSON of
`terraform show -json` (state or plan) and of a state file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from importers.expressions.evaluation import Budget, Expression, ExpressionScope, TooLarge, UnknownValue
from importers.expressions.functions import HCL
from importers.expressions.hcl import parse_expression
from importers.expressions.texts import Scanner
from importers.import_context import ImportContext
from importers.source_tree import SourceFile, SourceNode, SourceTree, UnresolvedText, find_line
from jobs.problems import KeyPath

_MAX_PARTS = 100_000


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
    for _ in range(_MAX_PARTS):
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


_MAX_INSTANCES = 500
_MAX_SHOWN = 1000
_STEPS_OF_LEAF = 10
"""What a value of a resource takes of the budget: each of its leaves is a line of the report."""


@dataclass(frozen=True)
class TerraformResource:
    """`values`: attributes, and blocks as lists of mappings. `lines`: by path, of a file in HCL."""

    file: str
    address: str
    kind: str
    values: dict[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)


class TerraformConfiguration:
    """Files of one module. `values`: of variables, before their defaults."""

    def __init__(self, files: Mapping[str, HclBlock], values: Mapping[str, Any]) -> None:
        self._files = files
        self._values = values
        self._defaults: dict[str, Expression | None] = {}
        self._locals: dict[str, Expression] = {}
        self._pending: set[str] = set()
        for root in files.values():
            for block in root.blocks:
                if block.kind == "variable" and block.labels:
                    self._defaults[block.labels[0]] = block.attributes.get("default")
                elif block.kind == "locals":
                    self._locals.update(block.attributes)
        self._budget = Budget(next(iter(files), "terraform"))
        self._scope = ExpressionScope(HCL, {"var": self._variable, "local": self._local}, budget=self._budget)
        self._evaluated: dict[str, Any] = {}
        """Variables and locals by name."""

    def resources(self, kinds: frozenset[str]) -> Iterator[TerraformResource]:
        """Yield each instance of the resources of these types."""
        for file, root in self._files.items():
            for block in root.blocks:
                if block.kind == "resource" and len(block.labels) == 2 and block.labels[0] in kinds:
                    yield from self._instances(file, block)

    def others(self, kinds: frozenset[str]) -> Iterator[tuple[str, str, int]]:
        """Yield file, name and line of each other block."""
        for file, root in self._files.items():
            for block in root.blocks:
                if not (block.kind == "resource" and block.labels and block.labels[0] in kinds):
                    yield file, " ".join((block.kind, *block.labels)), block.line

    def _instances(self, file: str, block: HclBlock) -> Iterator[TerraformResource]:
        address = ".".join(block.labels)
        for key, scope in self._scopes(block):
            self._budget.spend(_STEPS_OF_LEAF)
            values: dict[str, Any] = {}
            lines: dict[KeyPath, int] = {(): block.line}
            self._fill(block, scope, values, lines, ())
            suffix = "" if key is None else f"[{key}]" if isinstance(key, int) else f'["{key}"]'
            yield TerraformResource(file, f"{address}{suffix}", block.labels[0], values, lines)

    def _scopes(self, block: HclBlock) -> Iterator[tuple[Any, ExpressionScope]]:
        """Yield key and scope of each instance. An unknown number of instances is one."""
        if (count := block.attributes.get("count")) is not None:
            number = count.evaluate(self._scope)
            if isinstance(number, bool) or not isinstance(number, int):
                yield None, self._scope.with_names(count={"index": 0})
                return
            for index in range(min(number, _MAX_INSTANCES)):
                key = index if number > 1 else None
                yield key, self._scope.with_names(count={"index": index})
        elif (each := block.attributes.get("for_each")) is not None:
            yield from self._each(each, "each", self._scope)
        else:
            yield None, self._scope

    def _each(self, source: Expression, name: str, scope: ExpressionScope) -> Iterator[tuple[Any, ExpressionScope]]:
        value = source.evaluate(scope)
        if isinstance(value, dict):
            entries = list(value.items())
        elif isinstance(value, list):
            entries = [(one if name == "each" else index, one) for index, one in enumerate(value)]
        else:
            yield None, scope
            return
        for key, one in entries[:_MAX_INSTANCES]:
            yield key, scope.with_names(**{name: {"key": key, "value": one}})

    def _fill(
        self, block: HclBlock, scope: ExpressionScope, values: dict[str, Any], lines: dict[KeyPath, int], path: KeyPath
    ) -> None:
        for name, expression in block.attributes.items():
            if path or name not in ("count", "for_each"):
                values[name] = self._pay(expression, expression.evaluate(scope))
                lines[(*path, name)] = expression.line
        for inner in block.blocks:
            if inner.kind == "dynamic" and inner.labels:
                self._fill_dynamic(inner, scope, values, lines, path)
            else:
                self._add_block(inner.kind, inner, scope, values, lines, path)

    def _pay(self, expression: Expression, value: Any) -> Any:
        """Return the value of an attribute, at the cost of its leaves."""
        try:
            size = self._budget.measure(value)
        except TooLarge as error:
            size, value = 1, UnresolvedText(expression.text[:_MAX_SHOWN], str(error))
        self._budget.spend(_STEPS_OF_LEAF * size)
        return value

    def _fill_dynamic(
        self, block: HclBlock, scope: ExpressionScope, values: dict[str, Any], lines: dict[KeyPath, int], path: KeyPath
    ) -> None:
        """`dynamic "header"` is a block for each entry of a collection."""
        name = block.labels[0]
        content = next((inner for inner in block.blocks if inner.kind == "content"), None)
        source = block.attributes.get("for_each")
        if content is None or source is None:
            return
        iterator = block.attributes.get("iterator")
        for _, inner in self._each(source, iterator.text if iterator is not None else name, scope):
            self._add_block(name, content, inner, values, lines, path)

    def _add_block(
        self,
        name: str,
        block: HclBlock,
        scope: ExpressionScope,
        values: dict[str, Any],
        lines: dict[KeyPath, int],
        path: KeyPath,
    ) -> None:
        listed = values.setdefault(name, [])
        if not isinstance(listed, list):
            return
        self._budget.spend(_STEPS_OF_LEAF)
        place = (*path, name, len(listed))
        filled: dict[str, Any] = {}
        listed.append(filled)
        lines[place] = block.line
        self._fill(block, scope, filled, lines, place)

    def _variable(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        default = self._defaults.get(name)
        if default is None:
            raise UnknownValue(f"var.{name}")
        return self._evaluate(f"var.{name}", default)

    def _local(self, name: str) -> Any:
        expression = self._locals.get(name)
        if expression is None:
            raise UnknownValue(f"local.{name}")
        return self._evaluate(f"local.{name}", expression)

    def _evaluate(self, name: str, expression: Expression) -> Any:
        if name in self._pending:
            raise UnknownValue(f"{name}, which needs itself")
        if name not in self._evaluated:
            self._pending.add(name)
            try:
                self._evaluated[name] = expression.evaluate(self._scope)
            finally:
                self._pending.discard(name)
        value = self._evaluated[name]
        if isinstance(value, UnresolvedText):
            raise UnknownValue(value.needs)
        return value


_STAYS = "not a test: it stays in Terraform"
_MAX_LEVELS = 50


def is_hcl(file: SourceFile) -> bool:
    """Return whether a file is one of Terraform in HCL, by its name."""
    return file.path.name.endswith((".tf", ".tfvars"))


def is_terraform_json(value: Any) -> bool:
    """Return whether a document is a state or a plan of Terraform."""
    return (
        isinstance(value, dict)
        and ("terraform_version" in value)
        and bool({"values", "planned_values", "resources"} & value.keys())
    )


def has_resources(file: SourceFile, kinds: frozenset[str]) -> bool:
    """Return whether a file of Terraform has resources of these types."""
    if is_hcl(file):
        return any(kind in file.text for kind in kinds)
    return is_terraform_json(file.tree.root.value) and any(kind in file.text for kind in kinds)


def read_resources(
    files: Sequence[SourceFile], context: ImportContext, kinds: frozenset[str], *, are_added: bool = True
) -> list[tuple[TerraformResource, SourceNode]]:
    """Add the files to the context; return the resources of these types with their nodes. Raises UnreadableSource.

    `are_added`: whether the resources are added; False: the caller adds them in another form.
    """
    parsed = {file.shown: parse_hcl(file.text, file.shown) for file in files if is_hcl(file)}
    values: dict[str, Any] = {}
    for shown, root in parsed.items():
        if shown.endswith(".tfvars"):
            values |= _read_values(root)
    values |= dict(context.options.variables)
    configuration = TerraformConfiguration(
        {shown: root for shown, root in parsed.items() if not shown.endswith(".tfvars")}, values
    )
    resources = list(configuration.resources(kinds))
    others: dict[str, list[tuple[str, int | None]]] = {shown: [] for shown in parsed}
    for shown, name, line in configuration.others(kinds):
        others[shown].append((name, line))
    for shown, root in parsed.items():
        if shown.endswith(".tfvars"):
            others[shown] = [(name, one.line) for name, one in root.attributes.items()]
    for file in files:
        if not is_hcl(file):
            others[file.shown] = []
            resources += _read_document(file, kinds, others[file.shown])
    return _add_trees(context, resources, others, are_added=are_added)


def _read_values(root: HclBlock) -> dict[str, Any]:
    return {name: expression.evaluate(ExpressionScope(HCL)) for name, expression in root.attributes.items()}


def _read_document(
    file: SourceFile, kinds: frozenset[str], others: list[tuple[str, int | None]]
) -> Iterator[TerraformResource]:
    """Yield the resources of a state or a plan, and list the others."""
    value = file.tree.root.value
    line_of = file.tree.line_of
    for path, resource, values in _list_documents(value):
        kind, address = str(resource.get("type", "")), _address(resource)
        if kind in kinds and isinstance(values, dict):
            lines: dict[KeyPath, int] = {(): line_of(path) or 1}
            yield TerraformResource(file.shown, address, kind, values, lines)
        else:
            others.append((address, line_of(path)))


def _list_documents(value: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any], Any]]:
    if isinstance(value.get("resources"), list):  # a state file
        for index, resource in enumerate(value["resources"]):
            instances = resource.get("instances") if isinstance(resource, dict) else None
            for number, instance in enumerate(instances if isinstance(instances, list) else []):
                if isinstance(instance, dict):
                    described = {**resource, "index": instance.get("index_key")}
                    yield ("resources", index, "instances", number), described, instance.get("attributes")
        return
    key = "values" if "values" in value else "planned_values"
    root = value.get(key)
    pending = [((key, "root_module"), root.get("root_module") if isinstance(root, dict) else None)]
    for _ in range(_MAX_LEVELS * 100):
        if not pending:
            return
        path, module = pending.pop(0)
        if not isinstance(module, dict):
            continue
        for index, resource in enumerate(module.get("resources") or ()):
            if isinstance(resource, dict):
                yield (*path, "resources", index), resource, resource.get("values")
        for index, child in enumerate(module.get("child_modules") or ()):
            pending.append(((*path, "child_modules", index), child))  # type: ignore[arg-type]


def _address(resource: dict[str, Any]) -> str:
    if resource.get("address"):
        return str(resource["address"])
    index = resource.get("index")
    suffix = "" if index is None else f"[{index}]" if isinstance(index, int) else f'["{index}"]'
    return f"{resource.get('type', '')}.{resource.get('name', '')}{suffix}"


def _add_trees(
    context: ImportContext,
    listed: list[TerraformResource],
    others: dict[str, list[tuple[str, int | None]]],
    *,
    are_added: bool,
) -> list[tuple[TerraformResource, SourceNode]]:
    """Add a tree for each file: a key for each resource, and one for each other block."""
    pairs: list[tuple[TerraformResource, SourceNode]] = []
    for shown, names in others.items():
        own = [resource for resource in listed if resource.file == shown]
        lines: dict[KeyPath, int | None] = {
            (resource.address, *path): line for resource in own for path, line in resource.lines.items()
        }
        rest: dict[str, Any] = {}
        for name, line in names:
            key = name if name not in rest else f"{name} (line {line})"
            rest[key], lines[(key,)] = "", line
        resources = {resource.address: resource.values for resource in own}
        line_of = partial(find_line, lines)
        tree = SourceTree(shown, {**resources, **rest} if are_added else rest, line_of)
        added = context.add_tree(tree) if tree.value else tree.root
        for key in rest:
            if (node := added.child(key)) is not None:
                context.use(node, _STAYS)
        root = added if are_added else SourceTree(shown, resources, line_of).root
        nodes = ((resource, root.child(resource.address)) for resource in own)
        pairs += [(resource, found_node) for resource, found_node in nodes if found_node is not None]
    return pairs
