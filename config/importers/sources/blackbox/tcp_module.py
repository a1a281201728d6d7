"""The tcp prober. Called by probes.

The exporter compares one line after the other with `expect`, and ends what it sends with a line end.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import urlsplit

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.blackbox.go_patterns import translate_pattern
from config.importers.sources.blackbox.ip_protocols import put_ip_protocol, put_source_address
from config.importers.sources.blackbox.targets import ProbeTarget
from config.importers.sources.blackbox.tls_options import put_tls
from config.importers.values.reading import read_boolean, read_list, read_mapping, read_optional_text, read_text

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
    elif module.child("tls_config") is not None:
        draft.use(module.child("tls_config"), how="there is no TLS")  # type: ignore[arg-type]
    if tls is not None:
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
    for entry in read_list(node) if node is not None else []:
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
