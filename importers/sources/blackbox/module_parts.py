"""What modules of several probers have: the version of IP, `tls_config`, and regular expressions of Go (RE2) in the
dialect of job files.
"""

from __future__ import annotations

import json
import re

from importers.errors import NotCarriedOver
from importers.import_context import ImportContext
from importers.job_draft import JobDraft
from importers.ledger import SourceNode
from importers.values.reading import read_boolean, read_optional_text, read_text

_IP_VERSIONS = {"ip4": 4, "ip6": 6, "": 6}


def put_ip_protocol(draft: JobDraft, module: SourceNode) -> None:
    """Set `ip_version` where the exporter uses one version alone."""
    preferred, fallback = module.child("preferred_ip_protocol"), module.child("ip_protocol_fallback")
    nodes = [node for node in (preferred, fallback) if node is not None]
    name = read_optional_text(preferred)
    if name not in _IP_VERSIONS:
        raise NotCarriedOver("expected ip4 or ip6 as preferred_ip_protocol")
    if fallback is not None and not read_boolean(fallback):
        if draft.get("check.proxy") is None:
            draft.put("check.ip_version", _IP_VERSIONS[name], *nodes)
        return
    for node in nodes:
        draft.use(node, how="addresses are tried in the order of the DNS answer")


def put_source_address(draft: JobDraft, node: SourceNode) -> None:
    """Report the address to connect from."""
    if read_optional_text(node):
        draft.drop(node, "the address to connect from cannot be chosen")
    else:
        draft.use(node)


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
    for empty in files:
        if empty is not None and empty not in given:
            draft.use(empty)


def _put_verify(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.tls.verify", not read_boolean(node), node)


def _put_authorities(draft: JobDraft, node: SourceNode) -> None:
    if read_optional_text(node):
        draft.put("check.tls.ca_file", read_text(node), node)
    else:
        draft.use(node)


def _put_server_name(draft: JobDraft, node: SourceNode) -> None:
    if read_optional_text(node):
        draft.put("check.server_name", read_text(node), node)
    else:
        draft.use(node)


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


_PIECE = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|$)|\\(?P<escape>.)"
    r"|\[(?P<group>\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]])*)\]|(?P<plain>.)",
    re.DOTALL,
)
_REPEATED_ANCHOR = re.compile(r"(\^|\$|\\b|\\B|\\A|\\z)([*+?])")


def translate_pattern(pattern: str, *, by_line: bool = False) -> str:
    """Return a pattern that matches what it matches in Go.

    `$` is the end of the text alone in Go. `by_line`: of a dialogue, whose lines are compared one by one.
    """
    end = r"\r?$" if by_line else r"\Z"
    is_multiline = re.match(r"\(\?[a-zA-Z]*m", pattern) is not None
    text = _REPEATED_ANCHOR.sub(lambda found: found[1] if found[2] == "+" else "", pattern)
    parts: list[str] = []
    for piece in _PIECE.finditer(text):
        if piece["quoted"] is not None:
            parts.append(re.escape(piece["quoted"]))
        elif piece["escape"] is not None:
            parts.append(end if piece["escape"] == "z" else f"\\{piece['escape']}")
        elif piece["group"] is not None:
            parts.append(f"[{piece['group']}]")
        elif piece["plain"] == "$" and not is_multiline:
            parts.append(end)
        else:
            parts.append(piece["plain"])
    written = "".join(parts).replace("(?U)", "")
    return f"(?m){written}" if by_line and ("^" in written or "$" in written) else written


def write_cel_text(text: str) -> str:
    """Return a text as a literal of CEL."""
    return json.dumps(text, ensure_ascii=False)


def expand_replacement(replacement: str) -> str:
    """Return Go's `$1` and `${name}` as Python's `\\g<1>` and `\\g<name>`."""

    def replace(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else f"\\g<{found[1] or found[2]}>"

    return re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", replace, replacement.replace("\\", "\\\\"))
