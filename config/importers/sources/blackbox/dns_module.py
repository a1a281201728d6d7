"""The dns prober. Called by probes.

The exporter compares patterns with whole records, such as `shop.example.<TAB>300<TAB>IN<TAB>A<TAB>10.0.0.7`; here they
are compared with the data of the records of the queried type.
"""

from __future__ import annotations

import re
from functools import partial

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft, drop_key
from config.importers.node import SourceNode
from config.importers.sources.blackbox.go_patterns import write_cel_text
from config.importers.sources.blackbox.ip_protocols import put_source_address
from config.importers.sources.blackbox.targets import ProbeTarget
from config.importers.sources.blackbox.tcp_module import split_address
from config.importers.values.reading import read_boolean, read_list, read_optional_text, read_text

_RULES = {
    "fail_if_matches_regexp": "!facts.answers.exists(r, {})",
    "fail_if_all_match_regexp": "!facts.answers.all(r, {})",
    "fail_if_not_matches_regexp": "facts.answers.all(r, {})",
    "fail_if_none_matches_regexp": "facts.answers.exists(r, {})",
}
_HOW = "compared with the data of each record, not with its name, time to live and type"
_SECTION = "only the answers are compared, not this section"


def put_dns(context: ImportContext, draft: JobDraft, probe: ProbeTarget, module: SourceNode | None) -> None:
    """Set the check and its expectations. Raises NotCarriedOver."""
    if module is None:
        raise NotCarriedOver("the module has no query")
    name, kind = module.child("query_name"), module.child("query_type")
    record_type = read_optional_text(kind).upper() or "ANY"
    if record_type == "ANY":
        raise NotCarriedOver("queries of the type ANY are not sent, as most servers refuse them", "query_type: A")
    if name is None:
        raise NotCarriedOver("the module has no query_name")
    draft.put("check.kind", "dns")
    host, port = split_address(probe.address, 53)
    draft.put("check.server", host, probe.node)
    if port != 53:
        draft.put("check.port", port, probe.node)
    draft.put("check.name", read_text(name).rstrip(".") or ".", name)
    draft.put("check.type", record_type, *([kind] if kind is not None else []))
    over_tls = module.child("dns_over_tls")
    if over_tls is not None and read_boolean(over_tls):
        raise NotCarriedOver("DNS over TLS is not spoken", "a check of kind tls of port 853")
    draft.map_keys(
        module,
        {
            "transport_protocol": _put_protocol,
            "query_class": _put_class,
            "recursion_desired": _put_recursion,
            "valid_rcodes": _put_codes,
            "validate_answer_rrs": _put_rules,
            "validate_authority_rrs": drop_key(_SECTION, "validate_answer_rrs"),
            "validate_additional_rrs": drop_key(_SECTION, "validate_answer_rrs"),
            "source_ip_address": put_source_address,
            "dns_over_tls": _use,
            "tls_config": partial(_use, how="there is no TLS"),
            "preferred_ip_protocol": partial(_use, how="the server is an address"),
            "ip_protocol_fallback": partial(_use, how="the server is an address"),
        },
    )
    if not any("rcode" in entry for entry in draft.definition.get("expect", [])):
        draft.expect({"rcode": ["NOERROR"]})


def _use(draft: JobDraft, node: SourceNode, how: str = "") -> None:
    draft.use(node, how=how)


def _put_protocol(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.protocol", read_optional_text(node).lower() or "udp", node)


def _put_class(draft: JobDraft, node: SourceNode) -> None:
    if read_optional_text(node).upper() not in ("", "IN"):
        raise NotCarriedOver("only queries of the class IN are sent")
    draft.use(node)


def _put_recursion(draft: JobDraft, node: SourceNode) -> None:
    if not read_boolean(node):
        raise NotCarriedOver("queries always ask for recursion")
    draft.use(node)


def _put_codes(draft: JobDraft, node: SourceNode) -> None:
    codes = [read_text(code) for code in read_list(node)]
    if codes:
        draft.expect({"rcode": codes}, node)
    else:
        draft.use(node)


def _put_rules(draft: JobDraft, node: SourceNode) -> None:
    for rules in node.children():
        form = _RULES.get(rules.key)
        if form is None:
            continue
        for pattern in read_list(rules):
            text = write_cel_text(_data_pattern(read_text(pattern)))
            draft.expect({"cel": form.format(f"r.matches({text})")}, pattern, how=_HOW)
        if not rules.value:
            draft.use(rules)


def _data_pattern(pattern: str) -> str:
    """Return the part of a pattern that is about the data: after the last tab."""
    data = re.split(r"\t|\\t|\\s\+?", pattern)[-1]
    return data.removeprefix(".*") if data else pattern
