"""The version of IP of a module. Called by the modules of probers."""

from __future__ import annotations

from config.importers.errors import NotCarriedOver
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.values.reading import read_boolean, read_optional_text

_VERSIONS = {"ip4": 4, "ip6": 6, "": 6}


def put_ip_protocol(draft: JobDraft, module: SourceNode) -> None:
    """Set `ip_version` where the exporter uses one version alone."""
    preferred, fallback = module.child("preferred_ip_protocol"), module.child("ip_protocol_fallback")
    nodes = [node for node in (preferred, fallback) if node is not None]
    name = read_optional_text(preferred)
    if name not in _VERSIONS:
        raise NotCarriedOver("expected ip4 or ip6 as preferred_ip_protocol")
    if fallback is not None and not read_boolean(fallback):
        if draft.get("check.proxy") is None:
            draft.put("check.ip_version", _VERSIONS[name], *nodes)
        return
    for node in nodes:
        draft.use(node, how="addresses are tried in the order of the DNS answer")


def put_source_address(draft: JobDraft, node: SourceNode) -> None:
    """Report the address to connect from."""
    if read_optional_text(node):
        draft.drop(node, "the address to connect from cannot be chosen")
    else:
        draft.use(node)
