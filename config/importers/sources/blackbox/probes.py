"""A target and its module as a job. Called by files."""

from __future__ import annotations

from collections.abc import Callable

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.job_names import make_slug
from config.importers.node import SourceNode
from config.importers.sources.blackbox.dns_module import put_dns
from config.importers.sources.blackbox.http_module import put_http
from config.importers.sources.blackbox.targets import ProbeTarget
from config.importers.sources.blackbox.tcp_module import put_tcp
from config.importers.values.durations import read_seconds, write_duration
from config.importers.values.reading import read_optional_text

_OFFSET = 0.5
"""Seconds by which a probe ends before its scrape."""
_LONGEST_RUN = 8 * 60.0
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
    used = [node for node in (module.child("prober"), timeout) if node is not None]
    if timeout is not None and timeout.value not in (0, "0", "0s", ""):
        seconds = read_seconds(timeout)
        limit = min(seconds, limit) if probe.group else seconds
    attempt = min(limit, _LONGEST_RUN)
    draft.put("timeout", {"attempt": write_duration(attempt), "run": write_duration(attempt)}, *used)
    draft.put("retry", {"attempts": 1})
    draft.put(("tags", "module"), probe.module)
    for name, value in probe.labels.items():
        if name != "instance":
            draft.put(("tags", name), value)
