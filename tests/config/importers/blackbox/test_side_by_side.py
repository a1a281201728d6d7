"""blackbox_exporter and the imported jobs probe the same servers: their verdicts are the same.

All 21 modules of the example configuration in Debian's package, and 29 own ones with the other options, on good servers
and on those of bad_servers and bad_tls. `DIFFERENCES` lists the probes whose verdicts differ, with the reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from importers.report import ImportReport
from importers.running import run_import
from tests.config.importers.importing import text_file
from tests.parts import bad_servers as bad
from tests.parts import bad_tls
from tests.parts.bad_answers import answer
from tests.parts.blackbox_exporter import BlackboxExporter, example_modules, running_blackbox_exporter
from tests.parts.dns_server import DnsServer
from tests.parts.tls import ca_file
from tests.project import ROOT

SCRAPE_TIMEOUT = 4.5
CONCURRENCY = 20
BODY = b'{"foo": "bar", "baz": "qux"}'
OWN = (ROOT / "tests/data/importers/blackbox-modules.yml").read_text()

PROMETHEUS = """
global: {scrape_interval: 30s, scrape_timeout: 4500ms}
scrape_configs:
  - job_name: probes
    metrics_path: /probe
    file_sd_configs: [{files: [targets.json]}]
    relabel_configs:
      - {source_labels: [__address__], regex: "([^;]+);(.*)", target_label: __param_module, replacement: $1}
      - {source_labels: [__address__], regex: "([^;]+);(.*)", target_label: __param_target, replacement: $2}
      - {source_labels: [__address__], target_label: instance}
"""

DIFFERENCES = {
    ("smtp", "all at once"): "what arrives together with an expected line is read with it, and not compared again",
}
"""By module and server, with the reason, which docs/importing.md has as well."""
SILENT = frozenset({"black hole", "dripping headers"})
"""Servers that make each probe wait for its timeout: few modules probe them."""
MODULES_ON_SILENT = 3


@dataclass
class Servers:
    """Targets by name: URLs of http servers, and host:port of others."""

    http: dict[str, str] = field(default_factory=dict)
    tcp: dict[str, str] = field(default_factory=dict)
    dns: dict[str, str] = field(default_factory=dict)


def _greet(greeting: bytes) -> bad.Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.readline()
        writer.write(b"221 bye\r\n")
        await writer.drain()

    return behave


async def _start(stack: AsyncExitStack) -> Servers:
    servers = Servers()
    json_head = "Content-Type: application/json"
    http = {
        "good": bad.answering(answer(BODY, json_head, "X-Kind: good")),
        "text": bad.answering(answer(b"qux error")),
        "missing": bad.answering(answer(b"", status="HTTP/1.1 404 Not Found")),
        "broken": bad.answering(answer(b"", status="HTTP/1.1 500 Internal Server Error")),
        "large": bad.answering(answer(b'{"foo": "' + b"x" * 5000 + b'"}', json_head)),
        "redirect": bad.redirect_loop(),
        "unavailable": bad.unavailable(),
        "refused": bad.refused_port(),
        "reset": bad.reset_on_connect(),
        "reset after request": bad.reset_after_request(),
        "disconnect": bad.disconnect(),
        "garbage": bad.garbage(),
        "truncated body": bad.truncated_body(),
        "truncated chunks": bad.truncated_chunks(),
        "wrong chunking": bad.wrong_chunking(),
        "black hole": bad.black_hole(),
        "dripping headers": bad.dripping_headers(),
        "plain behind https": bad.plain_behind_https(),
        "tls": bad_tls.good(),
        "tls h2 alone": bad_tls.h2_alone(),
        "tls intermediate": bad_tls.missing_intermediate(),
        "tls address": bad_tls.ip_not_named(),
        "tls old": bad_tls.old_version(),
        "tls cipher": bad_tls.no_common_cipher(),
    }
    for name, server in http.items():
        servers.http[name] = (await stack.enter_async_context(server)).url  # type: ignore[attr-defined]
    tcp = {
        "ssh": bad.answering(b"SSH-2.0-OpenSSH_9 Debian\r\n", at_once=True),
        "ssh without comment": bad.answering(b"SSH-2.0-dropbear\r\n", at_once=True),
        "pop": bad.answering(b"+OK ready\r\n", at_once=True),
        "smtp": bad.BadServer(_greet(b"220 mail ESMTP\r\n"), after_request=False),
        "two lines": bad.BadServer(_greet(b"220-hello\r\n220 mail ESMTP\r\n"), after_request=False),
        "all at once": bad.answering(b"220 mail ESMTP\r\n221 bye\r\n", at_once=True),
        "refusing": bad.answering(b"554 no\r\n", at_once=True),
    }
    for name, server in tcp.items():
        url = (await stack.enter_async_context(server)).url
        servers.tcp[name] = url.partition("://")[2]
    for name in ("refused", "black hole", "tls", "tls intermediate", "plain behind https"):
        servers.tcp[name] = servers.http[name].partition("://")[2]
    return servers


def _pairs(modules: dict[str, Any], servers: Servers) -> list[tuple[str, str, str]]:
    """The module, the server's name and the target of each probe."""
    groups = {"http": servers.http, "tcp": servers.tcp, "dns": servers.dns}
    pairs: list[tuple[str, str, str]] = []
    for name, module in modules.items():
        for server, target in groups.get(module["prober"], {}).items():
            if server not in SILENT or sum(one == server for _, one, _ in pairs) < MODULES_ON_SILENT:
                pairs.append((name, server, target))
    return pairs


def _import(config: str, pairs: list[tuple[str, str, str]]) -> ImportReport:
    targets = json.dumps([{"targets": [f"{module};{target}" for module, _, target in pairs]}])
    files = [
        text_file(config, "blackbox.yml"),
        text_file(PROMETHEUS, "prometheus.yml"),
        text_file(targets, "targets.json"),
    ]
    return run_import("blackbox", files)


async def _run_jobs(report: ImportReport, folder: Path) -> dict[str, bool]:
    """Whether the run of each job succeeded, by the command `test`."""
    file = folder / "imported.yaml"
    file.write_text(report.text)
    secrets = {f"SCHEDULER_SECRET_{one.name.replace('-', '_').upper()}": "secret-4711" for one in report.secrets}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scheduler", "test", str(file), "--json", "--concurrency", str(CONCURRENCY),
        cwd=ROOT, env={**os.environ, **secrets, "SCHEDULER_ENVIRONMENT": "test"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    stdout, stderr = await process.communicate()
    assert process.returncode in (0, 1), stderr.decode()
    return {one["job"]: one["outcome"] == "succeeded" for one in json.loads(stdout)["jobs"]}


async def _compare(config: str, servers: Servers, folder: Path) -> dict[tuple[str, str], tuple[bool, bool]]:
    """The verdict of the exporter and of the imported job, for each probe that has a job."""
    pairs = _pairs(yaml.safe_load(config)["modules"], servers)
    report = _import(config, pairs)
    names = {entry.path: entry.jobs[0] for entry in report.entries if entry.file == "targets.json" and entry.jobs}
    jobs = {pair: name for at, pair in enumerate(pairs) if (name := names.get((0, "targets", at))) is not None}
    async with running_blackbox_exporter(config) as exporter:
        theirs = await _probe_all(exporter, list(jobs))
    ours = await _run_jobs(report, folder)
    return {(pair[0], pair[1]): (theirs[pair], ours[name]) for pair, name in jobs.items()}


async def _compare_until_equal(config: str, servers: Servers, folder: Path) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Compare; once more if a probe of the exporter or of ours met its timeout on a busy machine.

    A pair differs if it differs both times.
    """
    verdicts = await _compare(config, servers, folder)
    if _list_different(verdicts) == DIFFERENCES.keys() & verdicts.keys():
        return verdicts
    again = await _compare(config, servers, folder)
    return {pair: again[pair] if pair in _list_different(verdicts) else verdicts[pair] for pair in verdicts}


def _list_different(verdicts: dict[tuple[str, str], tuple[bool, bool]]) -> set[tuple[str, str]]:
    return {pair for pair, (theirs, ours) in verdicts.items() if theirs is not ours}


def _check(verdicts: dict[tuple[str, str], tuple[bool, bool]]) -> None:
    assert _list_different(verdicts) == DIFFERENCES.keys() & verdicts.keys()


async def _probe_all(exporter: BlackboxExporter, pairs: list[tuple[str, str, str]]) -> dict[tuple[str, str, str], bool]:
    found = await asyncio.gather(
        *(exporter.probe(module, target, timeout=SCRAPE_TIMEOUT) for module, _, target in pairs)
    )
    return dict(zip(pairs, found, strict=True))


async def test_the_modules_of_the_package(tmp_path: Path) -> None:
    config = re.sub(r"timeout: (5|30)s", "timeout: 4s", example_modules())
    assert config.count("prober:") == 21
    file = tmp_path / "content.txt"
    file.write_text("secret-4711")
    for path in ("/files/body.txt", "/path/to/api-key.txt"):
        config = config.replace(path, str(file))
    for path in ("/certs/my_cert.crt", "/etc/blackbox_exporter/CA_cert.crt"):
        config = config.replace(path, ca_file())
    async with AsyncExitStack() as stack:
        verdicts = await _compare_until_equal(config, await _start(stack), tmp_path)
    assert len(verdicts) > 250
    assert sum(theirs for theirs, _ in verdicts.values()) > 20
    _check(verdicts)


async def test_modules_with_other_options(tmp_path: Path) -> None:
    config = OWN.replace("CA_FILE", ca_file()).replace("timeout: 1s", "timeout: 4s")
    async with AsyncExitStack() as stack:
        servers = await _start(stack)
        server = await stack.enter_async_context(DnsServer({("shop.example", "A"): ["10.0.0.7"]}))
        servers.dns["good"] = f"127.0.0.1:{server.port}"
        verdicts = await _compare_until_equal(config, servers, tmp_path)
    assert len(verdicts) > 400
    assert sum(theirs for theirs, _ in verdicts.values()) > 60
    _check(verdicts)
