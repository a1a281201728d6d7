"""Reads resources of some types from files of Terraform. Called by the sources.

Files are `.tf` and `.tfvars` in HCL, and the JSON of `terraform show -json` (state or plan) and of a state file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from importers.import_context import ImportContext
from importers.ledger import SourceNode, SourceTree
from importers.source_file import SourceFile
from importers.terraform.configuration import HclBlock, TerraformConfiguration, TerraformResource, parse_hcl
from importers.terraform.scope import HclScope, UnknownHclValue
from jobs.problems import KeyPath

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
    found = list(configuration.resources(kinds))
    others: dict[str, list[tuple[str, int | None]]] = {shown: [] for shown in parsed}
    for shown, name, line in configuration.others(kinds):
        others[shown].append((name, line))
    for shown, root in parsed.items():
        if shown.endswith(".tfvars"):
            others[shown] = [(name, one.line) for name, one in root.attributes.items()]
    for file in files:
        if not is_hcl(file):
            others[file.shown] = []
            found += _read_document(file, kinds, others[file.shown])
    return _add_trees(context, found, others, are_added=are_added)


def _read_values(root: HclBlock) -> dict[str, Any]:
    scope = HclScope(_unknown, _unknown)
    return {name: expression.evaluate(scope) for name, expression in root.attributes.items()}


def _unknown(name: str) -> Any:
    raise UnknownHclValue(name)


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
    found: list[TerraformResource],
    others: dict[str, list[tuple[str, int | None]]],
    *,
    are_added: bool,
) -> list[tuple[TerraformResource, SourceNode]]:
    """Add a tree for each file: a key for each resource, and one for each other block."""
    pairs: list[tuple[TerraformResource, SourceNode]] = []
    for shown, names in others.items():
        own = [resource for resource in found if resource.file == shown]
        lines: dict[KeyPath, int | None] = {
            (resource.address, *path): line for resource in own for path, line in resource.lines.items()
        }
        rest: dict[str, Any] = {}
        for name, line in names:
            key = name if name not in rest else f"{name} (line {line})"
            rest[key], lines[(key,)] = "", line
        resources = {resource.address: resource.values for resource in own}
        line_of = partial(_find_line, lines)
        tree = SourceTree(shown, {**resources, **rest} if are_added else rest, line_of)
        added = context.add_tree(tree) if tree.value else tree.root
        for key in rest:
            if (node := added.child(key)) is not None:
                context.use(node, _STAYS)
        root = added if are_added else SourceTree(shown, resources, line_of).root
        nodes = ((resource, root.child(resource.address)) for resource in own)
        pairs += [(resource, found_node) for resource, found_node in nodes if found_node is not None]
    return pairs


def _find_line(lines: dict[KeyPath, int | None], path: KeyPath) -> int | None:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)
