"""Maps the address of a proxy. Used by the sources whose checks can have one."""

from __future__ import annotations

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.values.reading import split_url


def put_proxy(context: ImportContext, draft: JobDraft, text: str, node: SourceNode) -> None:
    """Set `proxy`; a user name and password in the address become `proxy_auth`. Raises NotCarriedOver."""
    parts = split_url(text)
    if parts.scheme != "http" or not parts.hostname:
        raise NotCarriedOver("only a proxy with http:// can be used", "check.proxy")
    draft.put("check.proxy", f"http://{parts.netloc.rpartition('@')[2]}", node)
    if parts.username is not None:
        purpose = f"password of the proxy of {draft.name}"
        reference = context.secrets.reference(parts.password or "", f"{draft.name}-proxy-password", purpose, node)
        auth = {"username": parts.username, "password": reference}
        draft.put("check.proxy_auth", auth, node, how="the password becomes a secret")
