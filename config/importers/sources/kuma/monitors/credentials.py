"""Maps credentials and proxies of HTTP monitors. Called by http and web."""

from __future__ import annotations

from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.job_draft import JobDraft
from config.importers.sources.kuma.monitors.monitor import KumaMonitor
from config.importers.values.http_requests import put_basic_auth, put_bearer_auth

_CA = "write the certificates to a file, and name it in check.tls.ca_file"


def put_credentials(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Set `auth`. Raises NotCarriedOver: without its credentials, the job would be another check."""
    row = monitor.row
    method = row.text("auth_method")
    nodes = row.nodes("auth_method")
    if method == "basic" or (not method and row.text("basic_auth_user") and "auth_method" not in row.values):
        nodes = [*row.nodes("basic_auth_pass", "basic_auth_user"), *nodes]  # the first one is the place of the secret
        put_basic_auth(monitor.context, draft, row.text("basic_auth_user"), row.text("basic_auth_pass"), *nodes)
    elif method == "bearer":
        put_bearer_auth(monitor.context, draft, row.text("bearer_token"), *row.nodes("bearer_token"), *nodes)
    elif method == "oauth2-cc":
        _put_oauth2(monitor, draft)
    elif method == "mtls":
        _put_client_certificate(monitor, draft)
    elif method == "ntlm":
        raise NotCarriedOver("there is no NTLM authentication", "offer Basic or a bearer token for the monitoring")
    elif method and method != "null":
        raise NotCarriedOver(f"the authentication {method} is not known")


def _put_oauth2(monitor: KumaMonitor, draft: JobDraft) -> None:
    row = monitor.row
    client_secret = monitor.context.secrets.reference(
        row.text("oauth_client_secret"),
        f"{draft.name}-client-secret",
        f"client secret of {draft.name}",
        next(iter(row.nodes("oauth_client_secret")), None),
    )
    auth: dict[str, Any] = {
        "kind": "oauth2",
        "token_url": row.text("oauth_token_url"),
        "client_id": row.text("oauth_client_id"),
        "client_secret": client_secret,
    }
    auth |= {key: row.text(f"oauth_{column}") for key, column in (("scope", "scopes"), ("audience", "audience"))}
    if row.text("oauth_auth_method") == "client_secret_post":
        auth["style"] = "body"
    columns = ("auth_method", "oauth_client_id", "oauth_client_secret", "oauth_token_url", "oauth_scopes")
    nodes = row.nodes(*columns, "oauth_audience", "oauth_auth_method")
    written = {key: value for key, value in auth.items() if value}
    draft.put("check.auth", written, *nodes, how="the client secret becomes a secret")


def _put_client_certificate(monitor: KumaMonitor, draft: JobDraft) -> None:
    row = monitor.row
    certificate, key = row.text("tls_cert"), row.text("tls_key")
    if certificate and key:
        reference = monitor.context.secrets.reference(
            f"{certificate.strip()}\n{key.strip()}\n",
            f"{draft.name}-client-certificate",
            f"client certificate and unencrypted key of {draft.name}, one after the other, in PEM form",
            next(iter(row.nodes("tls_cert")), None),
        )
        nodes = row.nodes("auth_method", "tls_cert", "tls_key")
        draft.put("check.tls.client_certificate", reference, *nodes, how="certificate and key become one secret")
    else:
        draft.use(*row.nodes("auth_method"))
    for node in row.nodes("tls_ca"):
        draft.drop(node, "a job file contains no certificates", _CA)


def put_proxy(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Set the proxy of the monitor. Raises NotCarriedOver."""
    row = monitor.row
    nodes = row.nodes("proxy_id")
    if not nodes:
        return
    proxy = monitor.rows.find("proxy", row.values.get("proxy_id"))
    if proxy is None or not proxy.is_set("active"):
        draft.use(*nodes, how="no proxy: it does not exist, or is not active")
        return
    protocol = proxy.text("protocol")
    if protocol not in ("http", "https"):
        raise NotCarriedOver(f"there are no proxies of the protocol {protocol}", "use an HTTP proxy")
    how = "" if protocol == "http" else "the connection to the proxy itself is not encrypted"
    used = proxy.nodes("protocol", "host", "port", "auth")
    url = f"http://{proxy.text('host')}:{proxy.whole('port')}"
    draft.put("check.proxy", url, *nodes, *used, how=how)
    if proxy.is_set("auth"):
        password = monitor.context.secrets.reference(
            proxy.text("password"),
            f"proxy-{proxy.text('host')}-password",
            f"password of the proxy {proxy.text('host')}",
            next(iter(proxy.nodes("password")), None),
        )
        credentials = {"username": proxy.text("username"), "password": password}
        nodes = proxy.nodes("username", "password")
        draft.put("check.proxy_auth", credentials, *nodes, how="the password becomes a secret")
