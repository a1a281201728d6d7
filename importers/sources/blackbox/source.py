"""Files of blackbox_exporter and Prometheus: modules, scrape jobs and targets, each target with its module as a job.
The functions of the source, see importers.running."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from importers.import_context import ImportContext, make_slug
from importers.ledger import JobDraft
from importers.reading import read_optional_text, read_seconds, write_duration
from importers.source_tree import NotCarriedOver, SourceFile, SourceNode, UnreadableSource
from importers.sources.blackbox.http_module import put_http
from importers.sources.blackbox.targets import ProbeTarget, find_listed_targets, find_scrape_targets
from importers.sources.blackbox.tcp_and_dns_modules import put_dns, put_tcp

_OFFSET = 0.5
"""Seconds by which a probe ends before its scrape."""
_MAX_RUN = 8 * 60.0
_PROBERS: dict[str, Callable[[ImportContext, JobDraft, ProbeTarget, SourceNode | None], None]] = {
    "http": put_http,
    "tcp": put_tcp,
    "dns": put_dns,
}
_NOT_KNOWN = {
    "icmp": ("there is no check by ping", "a check of kind tcp of a port that is always open"),
    "grpc": ("there is no check by gRPC", "a check of kind tcp or tls, or of an HTTP health endpoint"),
    "unix": ("a Unix socket cannot be checked", "a heartbeat of a script"),
    "websocket": ("there is no check by WebSocket", "a check of kind tcp or tls, or of an HTTP health endpoint"),
}


def map_probe(probe: ProbeTarget, module: SourceNode, context: ImportContext) -> None:
    """Add the job of a probe, or report why there cannot be one."""
    prober = read_optional_text(module.child("prober"))
    put = _PROBERS.get(prober)
    if put is None:
        why, nearest = _NOT_KNOWN.get(prober, (f"the prober {prober[:40]!r} is not known", ""))
        context.drop(probe.node, why, nearest)
        context.ledger.record_rest(module, why, nearest)
        for node in probe.nodes:
            context.ledger.record_rest(node, f"its module {probe.module} is not carried over", nearest)
        return
    draft = context.new_job(_make_name(probe, context), probe.node)
    try:
        _put_probe(draft, probe, module)
        put(context, draft, probe, module.child(prober))
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        context.ledger.record_rest(module, error.why, error.nearest)
        return
    for node in module.children():
        if node.key in _PROBERS.keys() | _NOT_KNOWN.keys() and node.key != prober:
            draft.use(node, how=f"the prober {prober} does not use it")


def _make_name(probe: ProbeTarget, context: ImportContext) -> str:
    target = probe.labels.get("instance") or probe.address
    shown = target.partition("://")[2] or target
    name = f"{probe.group} {shown.partition('?')[0].rpartition('@')[2]}".strip()
    return f"{name} {probe.module}" if make_slug(name) in context.jobs else name


def _put_probe(draft: JobDraft, probe: ProbeTarget, module: SourceNode) -> None:
    draft.put("schedule", {"every": write_duration(probe.interval)}, *probe.nodes)
    limit = max(probe.timeout - _OFFSET, 0.001)
    timeout = module.child("timeout")
    if timeout is not None and timeout.value not in (0, "0", "0s", ""):
        seconds = read_seconds(timeout)
        limit = min(seconds, limit) if probe.group else seconds
    attempt = min(limit, _MAX_RUN)
    limits = {"attempt": write_duration(attempt), "run": write_duration(attempt)}
    draft.put("timeout", limits, module.child("prober"), timeout)
    draft.put("retry", {"attempts": 1})
    draft.put(("tags", "module"), probe.module)
    for name, value in probe.labels.items():
        if name != "instance":
            draft.put(("tags", name), value)


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
