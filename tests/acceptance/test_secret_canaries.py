"""Secrets in every place that takes one, against a target that sends all of it back in every place that it has.

Then everything that the program has written or sent is searched, for every form that a secret may have taken.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobs.redaction.forms import secret_forms
from tests.parts.host import Host, embedded
from tests.parts.ingestion import ApplicationInsightsIngestion, DatadogIntake, KeyVaultServer, ManagedIdentityServer
from tests.parts.tls import ca_file

SECRETS = {
    "canary-user": "canary.User-3141",
    "canary-pass": 'c4nary"P@ss/w+rd=&<ö>',
    "canary-token": "cAnArYt0k3nQ7vX2mZ9pL4",
    "canary-key": "canary key/with+blanks%20and more",
    "canary-pem": "-----BEGIN PRIVATE KEY-----\nMIIEvcanaryAQEFAASCBKcwggSjAgEAAoIBAQC7\n"
    "9wcanaryBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA\n-----END PRIVATE KEY-----\n",
}
SCOPE = "api://checkout/.default"
ENVIRONMENT = {"canary-user", "canary-pass"}
"""Held by variables; the others are in mounted files and in the vault."""
FILES = {"canary-token"}


def secret(name: str) -> dict[str, str]:
    return {"secret": f"canary-{name}"}


PLACES: dict[str, dict[str, Any]] = {
    "basic": {"auth": {"kind": "basic", "username": secret("user"), "password": secret("pass")}},
    "bearer": {"auth": {"kind": "bearer", "token": secret("token")}},
    "key-header": {"auth": {"kind": "api_key", "key": secret("key")}},
    "key-query": {"auth": {"kind": "api_key", "key": secret("pass"), "name": "key", "place": "query"}},
    "identity": {"auth": {"kind": "managed_identity", "scope": SCOPE}},
    "header": {"headers": {"X-Custom": secret("pass")}},
    "query": {"query": {"custom": secret("key")}},
    "text": {"method": "POST", "body": {"text": secret("pem")}},
    "form": {
        "method": "POST",
        "body": {"form": {"user": secret("user"), "pass": secret("pass"), "pem": secret("pem")}},
    },
}
NEVER = "what it never says"
ECHOES: dict[str, list[dict[str, Any]]] = {
    "reason": [{"status": 200}],
    "headers": [{"status": 200}, {"header": "x-echo", "equals": NEVER}, {"header": "x-echo", "matches": NEVER}],
    "body": [{"status": 200}, {"body_contains": NEVER}, {"body_matches": NEVER}],
    "json": [{"status": 200}, {"json": "$.sent", "equals": NEVER}, {"json": "$..sent", "equals": NEVER}],
    "encoded": [{"status": 200}, {"body_contains": NEVER}],
    "redirect": [{"status": 200}, {"body_contains": NEVER}],
    "nowhere": [{"status": 200}],
    "refused": [{"status": 200}],
}


OAUTH_TOKEN = "canaryOAuthT0k3n.x1"


def oauth(url: str, **more: Any) -> dict[str, Any]:
    return {"kind": "oauth2", "token_url": url, "client_id": secret("user"), "client_secret": secret("pass"), **more}


def jobs(url: str) -> dict[str, Any]:
    places = {
        **PLACES,
        "oauth": {"auth": oauth(f"{url}/token")},
        "oauth-form": {"auth": oauth(f"{url}/no-token", style="body")},
    }
    return {
        f"{place}-{echo}": {
            "check": {"url": f"{url}/{echo}", "redirects": 3, **target},
            "expect": expect,
            "retry": {"attempts": 1},
            "dead_letter": True,
        }
        for place, target in places.items()
        for echo, expect in ECHOES.items()
    }


USUAL = re.compile(rb"(?i)host|user-agent|accept|connection|idempotency|content-|$")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    body = await reader.readexactly(int(length[1])) if length else b""
    target, *lines = head.split(b"\r\n")
    where, _, query = target.split(b" ")[1].partition(b"?")
    # What anybody sends is left out: of what a target has said history shows the beginning.
    reported = [line.partition(b": ")[2] for line in lines if not USUAL.match(line)]
    sent = b" ".join([*filter(None, [query, *reported, body])])
    if basic := re.search(rb"Basic (\S+)", head):
        sent = base64.b64decode(basic[1]) + b" " + sent
    path = where.strip(b"/").decode()
    writer.write(answer(path, sent))
    await writer.drain()
    writer.close()


def answer(path: str, sent: bytes) -> bytes:
    line = re.sub(rb"[\r\n]+", b" ", sent)
    body = b"sent: " + sent
    status, headers = b"200 OK", b""
    match path:
        case "token":
            body = json.dumps({"access_token": OAUTH_TOKEN, "token_type": "bearer"}).encode()
        case "no-token":
            text = sent.decode("utf-8", "replace")
            status = b"400 " + line
            body = json.dumps({"error": text, "error_description": f"AADSTS7000215: {text}"}).encode()
        case "reason":
            status = b"500 " + line
        case "refused":
            status = b"401 " + line
        case "headers":
            headers = b"X-Echo: " + line + b"\r\n"
        case "json":
            text = sent.decode("latin-1")
            body = json.dumps({"sent": text, "inner": {"sent": sent.decode("utf-8", "replace")}}).encode()
            headers = b"Content-Type: application/json\r\n"
        case "encoded":
            text = sent.decode("utf-8", "replace")
            encoded = [
                base64.b64encode(sent).decode(),
                sent.hex(),
                quote(text),
                html.escape(text),
                text[::-1],
                repr(text),
            ]
            body = "\n".join(encoded).encode()
        case "redirect":
            status, headers = b"302 Found", b"Location: /body?" + quote(sent).encode() + b"\r\n"
        case "nowhere":
            status, headers = b"302 Found", b"Location: ftp://" + quote(sent, "").encode() + b"\r\n"
    framing = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    return b"HTTP/1.1 " + status + b"\r\n" + headers + framing + body


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0, limit=1 << 20)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def files_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("state.db*"))


async def published_over_the_api(host: Host) -> str:
    paths = ["/api/runs?limit=500", "/api/jobs?limit=500", "/api/status", "/api/secrets", "/api/dashboard"]
    letters = (await host.client.get("/api/dead-letters?limit=500")).json()["dead_letters"]
    paths += [f"/api/dead-letters/{letter['id']}" for letter in letters]
    assert letters
    return "\n".join([(await host.client.get(path)).text for path in paths])


def forms(value: str) -> set[str]:
    """Every form that is searched for; what is short or in every PEM file may stand anywhere."""
    found = secret_forms(value)
    return {form for form in found.plain | found.inside_base64 if len(form) >= 8}


def leaks(where: str, text: str, values: dict[str, str]) -> list[str]:
    return [f"{name} as {form!r} in {where}" for name, value in values.items() for form in forms(value) if form in text]


async def test_no_form_of_a_secret_is_anywhere(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    async with (
        echoing() as url,
        ApplicationInsightsIngestion() as insights,
        DatadogIntake() as datadog,
        KeyVaultServer() as vault,
        ManagedIdentityServer() as identity,
    ):
        env = {
            **insights.environ,
            **identity.environ,
            "DD_API_KEY": datadog.api_key,
            "SCHEDULER_DATADOG__URL": datadog.url,
            "SCHEDULER_KEY_VAULT_URL": vault.url,
            "SCHEDULER_SECRETS_FOLDER": str(folder),
            "SSL_CERT_FILE": ca_file(),
        }
        for name, value in SECRETS.items():
            if name in ENVIRONMENT:
                env[f"SCHEDULER_SECRET_{name.upper().replace('-', '_')}"] = value
            elif name in FILES:
                (folder / name).write_text(value + "\n")
            else:
                vault.set(name, value)
        async with embedded(tmp_path, jobs(url), **env) as host:
            names = list(jobs(url))
            runs = [await host.run(name) for name in names]
            answers = json.dumps(runs) + await published_over_the_api(host)
            state = files_of(tmp_path)
            await host.stop()
        state += files_of(tmp_path)
        sent = json.dumps(
            [insights.items, datadog.series, datadog.logs, datadog.checks, datadog.distributions], ensure_ascii=False
        )
        tokens = {f"token-{n}": identity.token("api://checkout", n) for n in range(1, len(identity.calls) + 1)}

    values = SECRETS | tokens | {"oauth": OAUTH_TOKEN}
    assert {run["outcome"] for run in runs} == {"failed"}
    assert sum("***" in run["message"] for run in runs) > len(runs) / 2
    assert datadog.logs
    assert [
        *leaks("the log", host.program.stdout + host.program.stderr, values),
        *leaks("the store", state.decode("utf-8", "replace"), values),
        *leaks("the API", answers, values),
        *leaks("telemetry", sent, values),
    ] == []
