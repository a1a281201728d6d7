"""`tls_config` of modules. Called by http_client and tcp_module."""

from __future__ import annotations

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.values.reading import read_boolean, read_optional_text, read_text

_VERSIONS = {"TLS12": ["TLSv1.2", "TLSv1.3"], "TLS13": ["TLSv1.3"]}


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
    if version not in _VERSIONS:
        raise NotCarriedOver("the version is not known")
    draft.expect({"tls_version": _VERSIONS[version]}, node)


def _put_maximum(draft: JobDraft, node: SourceNode) -> None:
    if read_optional_text(node).upper() != "TLS13":
        raise NotCarriedOver("the newest version of TLS that is offered cannot be limited", "tls_version")
    draft.use(node)


def _refuse_inline(draft: JobDraft, node: SourceNode) -> None:
    raise NotCarriedOver("an authority inside the configuration is not read", "tls.ca_file")
