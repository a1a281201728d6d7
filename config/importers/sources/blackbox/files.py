"""Files of blackbox_exporter and Prometheus: modules, scrape jobs and targets. The functions of the source, see
config.importers.registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from config.importers.errors import NotCarriedOver, UnreadableSource
from config.importers.import_context import ImportContext
from config.importers.node import SourceNode
from config.importers.source_file import SourceFile
from config.importers.sources.blackbox.probes import map_probe
from config.importers.sources.blackbox.targets import ProbeTarget, find_listed_targets, find_scrape_targets

_SUFFIXES = (".yaml", ".yml", ".json")
_BINARY = re.compile(rb"!!binary[ \t]+([A-Za-z0-9+/=]+)")
_PROMETHEUS = "it configures Prometheus itself"
_NO_TARGET = "no given target uses this module"
_KNOWN_PROBERS = frozenset({"http", "tcp", "dns", "icmp", "grpc", "unix", "websocket"})


@dataclass(slots=True)
class _BlackboxInputs:
    """The given documents by what they are."""

    modules: dict[str, SourceNode] = field(default_factory=dict)
    scrapes: list[SourceNode] = field(default_factory=list)
    lists: list[SourceNode] = field(default_factory=list)


def detects(file: SourceFile) -> bool:
    """Return whether the file has modules with probers."""
    if not file.shown.lower().endswith(_SUFFIXES):
        return False
    try:
        value = _quote_binary(file).document.value
    except UnreadableSource:
        return False
    modules = value.get("modules") if isinstance(value, dict) else None
    found = modules.values() if isinstance(modules, dict) else ()
    return any(isinstance(one, dict) and one.get("prober") in _KNOWN_PROBERS for one in found)


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add a job for each target of each module."""
    inputs = _BlackboxInputs()
    for file in [*files, *context.options.targets]:
        _sort_input(file, context.add_tree(_quote_binary(file).tree), inputs)
    if not inputs.modules:
        raise UnreadableSource(
            files[0].shown, "has no modules", "give the configuration of blackbox_exporter, too", 1, 1
        )
    for probe in _find_probes(inputs, context):
        module = inputs.modules.get(probe.module)
        if module is None:
            context.drop(probe.node, f"the module {probe.module} does not exist")
        else:
            map_probe(probe, module, context)
    for module in inputs.modules.values():
        context.ledger.record_rest(module, _NO_TARGET, "a scrape job, or --targets FILE")
    for root in inputs.scrapes:
        for node in root.children():
            context.ledger.record_rest(node, _PROMETHEUS)


def _find_probes(inputs: _BlackboxInputs, context: ImportContext) -> Iterator[ProbeTarget]:
    named: set[int] = set()
    for root in inputs.scrapes:
        for probe in find_scrape_targets(root, inputs.lists, context):
            named.add(id(probe.node.tree))
            yield probe
    for root in inputs.lists:
        if id(root.tree) in named:
            continue
        try:
            yield from find_listed_targets(root, list(inputs.modules), context)
        except NotCarriedOver as error:
            context.ledger.record_rest(root, error.why, error.nearest)


def _sort_input(file: SourceFile, root: SourceNode, inputs: _BlackboxInputs) -> None:
    value = root.value
    if isinstance(value, dict) and isinstance(value.get("modules"), dict):
        inputs.modules |= {node.key: node for node in root.child("modules").children()}  # type: ignore[union-attr]
    elif isinstance(value, dict) and ("scrape_configs" in value or "global" in value):
        inputs.scrapes.append(root)
    elif isinstance(value, list):
        inputs.lists.append(root)
    else:
        hint = "give blackbox.yml, prometheus.yml, or a list of targets with labels"
        raise UnreadableSource(file.shown, "has neither modules, scrape_configs nor targets", hint, 1, 1)


def _quote_binary(file: SourceFile) -> SourceFile:
    """Return the file with `!!binary` values as texts that begin with that word: the reader has no binary values."""
    if b"!!binary" not in file.content:
        return file
    return SourceFile(file.path, file.shown, _BINARY.sub(rb'"!!binary \1"', file.content))
