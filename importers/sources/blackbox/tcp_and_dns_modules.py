"""The tcp and dns probers, and what modules of several probers have: the version of IP and `tls_config`.

The exporter compares one line after the other with `expect`, and ends what it sends with a line end.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from importers.import_context import ImportContext
from importers.ledger import JobDraft, drop_key
from importers.reading import read_boolean, read_list, read_mapping, read_optional_text, read_text
from importers.source_tree import NotCarriedOver, SourceNode
from importers.sources.blackbox.targets import ProbeTarget, translate_pattern

_IP_VERSIONS = {"ip4": 4, "ip6": 6, "": 6}


def put_ip_protocol(draft: JobDraft, module: SourceNode) -> None:
    """Set `ip_version` where the exporter uses one version alone."""
    preferred, fallback = module.child("preferred_ip_protocol"), module.child("ip_protocol_fallback")
    name = read_optional_text(preferred)
    if name not in _IP_VERSIONS:
        raise NotCarriedOver("expected ip4 or ip6 as preferred_ip_protocol")
    if fallback is not None and not read_boolean(fallback):
        if draft.get("check.proxy") is None:
            draft.put("check.ip_version", _IP_VERSIONS[name], preferred, fallback)
        return
    draft.use(preferred, fallback, how="addresses are tried in the order of the DNS answer")


def put_source_address(draft: JobDraft, node: SourceNode) -> None:
    """Report the address to connect from."""
    draft.drop_if(read_optional_text(node), node, "the address to connect from cannot be chosen")


_TLS_VERSIONS = {"TLS12": ["TLSv1.2", "TLSv1.3"], "TLS13": ["TLSv1.3"]}


def put_tls(context: ImportContext, draft: JobDraft, node: SourceNode | None, *, has_tls: bool = True) -> None:
    """Set the keys of `tls`, the server name and the versions. `has_tls`: whether the target itself uses TLS."""
    if node is None:
        return
    if not has_tls and (minimum := node.child("min_version")) is not None:
        draft.use(minimum, how="the target does not use TLS")
    draft.map_keys(
        node,
        {
            "insecure_skip_verify": _put_verify,
            "ca_file": _put_authorities,
            "server_name": _put_server_name,
            **({"min_version": _put_minimum} if has_tls else {}),
            "max_version": _put_maximum,
            "ca": _refuse_inline,
        },
    )
    files = [node.child(key) for key in ("cert_file", "key_file", "cert", "key")]
    given = [one for one in files if one is not None and read_optional_text(one)]
    if given:
        purpose = f"client certificate of {draft.name} in PEM form, with its key"
        reference = context.secrets.require(f"{draft.name}-client-certificate", purpose, given[0])
        draft.put("check.tls.client_certificate", reference, *given, how="certificate and key become one secret")
    draft.use(*(file for file in files if file not in given))


def _put_verify(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.tls.verify", not read_boolean(node), node)


def _put_authorities(draft: JobDraft, node: SourceNode) -> None:
    path = read_optional_text(node)
    draft.put_if(bool(path), "check.tls.ca_file", path, node)


def _put_server_name(draft: JobDraft, node: SourceNode) -> None:
    name = read_optional_text(node)
    draft.put_if(bool(name), "check.server_name", name, node)


def _put_minimum(draft: JobDraft, node: SourceNode) -> None:
    version = read_optional_text(node).upper()
    if version in ("TLS10", "TLS11"):
        raise NotCarriedOver("versions below TLS 1.2 are never used")
    if version not in _TLS_VERSIONS:
        raise NotCarriedOver("the version is not known")
    draft.expect({"tls_version": _TLS_VERSIONS[version]}, node)


def _put_maximum(draft: JobDraft, node: SourceNode) -> None:
    if read_optional_text(node).upper() != "TLS13":
        raise NotCarriedOver("the newest version of TLS that is offered cannot be limited", "tls_version")
    draft.use(node)


def _refuse_inline(draft: JobDraft, node: SourceNode) -> None:
    raise NotCarriedOver("an authority inside the configuration is not read", "tls.ca_file")


def write_cel_text(text: str) -> str:
    """Return a text as a literal of CEL."""
    return json.dumps(text, ensure_ascii=False)


_BINARY = "!!binary "
_GROUP = re.compile(r"\$\$|\$\{?\w+\}?")


def put_tcp(context: ImportContext, draft: JobDraft, probe: ProbeTarget, module: SourceNode | None) -> None:
    """Set the check. Raises NotCarriedOver: a line of the dialogue has no equivalent."""
    draft.put("check.kind", "tcp")
    host, port = split_address(probe.address)
    draft.put("check.host", host, probe.node)
    draft.put("check.port", port, probe.node)
    if probe.hostname:
        draft.put("check.server_name", probe.hostname)
    if module is None:
        return
    dialogue = _read_dialogue(draft, module.child("query_response"))
    starts_tls = any("starttls" in line for line in dialogue)
    tls = module.child("tls")
    if (tls is not None and read_boolean(tls)) or starts_tls:
        if tls is not None and read_boolean(tls) and starts_tls:
            raise NotCarriedOver("TLS within TLS cannot be checked", "a dialogue with starttls alone")
        draft.put("check.tls", {"verify": True})
        put_tls(context, draft, module.child("tls_config"))
    else:
        draft.use(module.child("tls_config"), how="there is no TLS")
    draft.use(tls)
    if dialogue:
        draft.put("check.dialogue", dialogue)
    put_ip_protocol(draft, module)
    draft.map_keys(module, {"source_ip_address": put_source_address})


def split_address(address: str, default: int | None = None) -> tuple[str, int]:
    """Return host and port. Raises NotCarriedOver."""
    try:
        parts = urlsplit(f"//{address}")
        port = parts.port or default
    except ValueError:
        raise NotCarriedOver("the target is not a host and a port") from None
    if not parts.hostname or port is None or parts.path:
        raise NotCarriedOver("the target is not a host and a port")
    return parts.hostname, port


def _read_dialogue(draft: JobDraft, node: SourceNode | None) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for entry in read_list(node):
        keys = read_mapping(entry)
        if "expect" in keys and read_optional_text(keys["expect"]):
            lines.append({"receive": translate_pattern(read_text(keys["expect"]), by_line=True)})
        if "expect_bytes" in keys and read_optional_text(keys["expect_bytes"]):
            lines.append({"receive": "\\A" + re.escape(_read_bytes(keys["expect_bytes"]))})
        if "send" in keys and read_optional_text(keys["send"]):
            lines.append({"send": _read_sent(keys["send"], has_groups="expect" in keys)})
        if "starttls" in keys and read_boolean(keys["starttls"]):
            lines.append({"starttls": True})
        draft.use(*(keys[key] for key in ("expect", "expect_bytes", "send", "starttls") if key in keys))
        if "labels" in keys:
            draft.drop(keys["labels"], "values of an answer do not become labels", "the body in history")
    return lines


def _read_bytes(node: SourceNode) -> str:
    text = read_text(node)
    if not text.startswith(_BINARY):
        return text
    try:
        return base64.b64decode(text.removeprefix(_BINARY), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise NotCarriedOver("bytes that are not a text cannot be sent or received", "a check of kind tls") from None


def _read_sent(node: SourceNode, *, has_groups: bool) -> str:
    text = _read_bytes(node)
    if read_text(node).startswith(_BINARY):
        return text + "\n"
    groups = [found for found in _GROUP.findall(text) if found != "$$"]
    if groups and has_groups:
        raise NotCarriedOver(f"it sends {groups[0]}, a part of what was received", "a fixed text")
    return (text.replace("$$", "$") if has_groups else text) + "\n"


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
    draft.put("check.type", record_type, kind)
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
