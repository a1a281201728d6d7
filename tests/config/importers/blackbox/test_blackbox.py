"""Modules of blackbox_exporter with targets of Prometheus as jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.import_context import ImportOptions
from importers.ledger import UNKNOWN_KEY
from importers.report import ImportReport
from importers.running import detect_source, run_import
from importers.source_tree import UnreadableSource
from importers.sources.blackbox.targets import read_rules, relabel
from importers.sources.blackbox.tcp_and_dns_modules import translate_pattern
from tests.config.importers.importing import details, import_text, leaf_paths, outcomes, read_jobs, text_file
from tests.project import ROOT

FULL = (ROOT / "tests/data/importers/blackbox-full.yml").read_text()
TARGETS = {
    "everything": "https://shop.example/health",
    "scheme": "https://scheme.example",
    "token": "http://token.example",
    "token_file": "https://file.example",
    "oauth": "https://oauth.example",
    "dialogue": "mail.example:25",
    "echo": "irc.example:6667",
    "binary": "db.example:5432",
    "binary_text": "redis.example:6379",
    "query": "10.0.0.4:5353",
    "any": "10.0.0.4",
    "over_tls": "10.0.0.4",
    "ping": "host.example",
    "procedures": "host.example:443",
    "socket": "/run/x",
    "web_socket": "ws://host.example",
}


@pytest.fixture(scope="module")
def full() -> ImportReport:
    lists = [{"targets": [target], "labels": {"module": module, "team": "shop"}} for module, target in TARGETS.items()]
    targets = text_file(json.dumps(lists), "targets.json")
    return run_import("blackbox", [text_file(FULL, "blackbox.yml")], ImportOptions(targets=[targets]))


def test_each_documented_option_has_a_known_outcome(full: ImportReport) -> None:
    assert [entry.key for entry in full.entries if entry.detail == UNKNOWN_KEY] == []
    assert detect_source([text_file(FULL, "blackbox.yml")]) == "blackbox"


def test_all_jobs_are_valid_and_have_no_secret(full: ImportReport) -> None:
    jobs = read_jobs(full)
    assert sorted(jobs) == [
        "10.0.0.4-5353",
        "file.example",
        "mail.example-25",
        "oauth.example",
        "redis.example-6379",
        "scheme.example",
        "shop.example-health",
        "token.example",
    ]
    text = full.text + json.dumps(full.to_json())
    assert "-4711" not in text


def test_an_http_module(full: ImportReport) -> None:
    job = full.definitions["shop.example-health"]
    assert job["timeout"] == {"attempt": "5s", "run": "5s"}
    assert job["tags"] == {"module": "everything", "team": "shop"}
    assert job["expect"] == [
        {"tls_version": ["TLSv1.2", "TLSv1.3"]},
        {"status": [200, 204]},
        {"http_version": ["HTTP/1.1", "HTTP/2"]},
        {"max_body": 10 * 1024 * 1024},
        {"header": "content-encoding", "equals": "gzip"},
        {"tls": "required"},
        {"cel": "!(json.error != null)"},
        {"cel": "json.status == 'body' && has(json.n)"},
        {"body_not_matches": "error"},
        {"body_not_matches": "fatal\\Z"},
        {"body_matches": "(?i)ready\\Z"},
        {"header": "set-cookie", "not_matches": ".*", "missing": "ok"},
        {"header": "content-type", "matches": "^application/json"},
    ]
    check = job["check"]
    assert check["redirects"] == 0
    assert check["server_name"] == "shop.example"
    assert check["proxy"] == "http://proxy.example:3128"
    assert check["headers"]["X-File"] == {"secret": "shop-example-health-x-file"}
    assert details(full)["modules.everything.http.http_headers.X-Secret.secrets[0]"].startswith("only the last value")


def test_other_authentications(full: ImportReport) -> None:
    jobs = full.definitions
    assert jobs["scheme.example"]["check"]["headers"] == {"Authorization": {"secret": "scheme-example-authorization"}}
    assert jobs["token.example"]["check"]["auth"]["kind"] == "bearer"
    assert jobs["token.example"]["check"]["allow_plain_http"] is True
    assert jobs["token.example"]["check"]["ip_version"] == 6
    assert jobs["file.example"]["check"]["body"] == {"text": {"secret": "file-example-body"}}
    oauth = jobs["oauth.example"]["check"]["auth"]
    assert (oauth["scope"], oauth["audience"]) == ("read", "shop")


def test_a_dialogue(full: ImportReport) -> None:
    check = full.definitions["mail.example-25"]["check"]
    assert check["dialogue"] == [
        {"receive": "(?m)^220 (.+)\\r?$"},
        {"send": "EHLO probe\r\n"},
        {"receive": "\\A250"},
        {"send": "STARTTLS\r\n"},
        {"starttls": True},
    ]
    assert check["tls"] == {"verify": False}
    assert full.definitions["redis.example-6379"]["check"]["dialogue"][0] == {"send": "PING\n"}


def test_a_dns_module(full: ImportReport) -> None:
    job = full.definitions["10.0.0.4-5353"]
    assert job["check"] == {
        "kind": "dns", "server": "10.0.0.4", "port": 5353, "name": "shop.example", "type": "MX", "protocol": "tcp",
    }  # fmt: skip
    assert {"cel": 'facts.answers.all(r, r.matches("10 mail"))'} in job["expect"]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("echo", "it sends ${1}, a part of what was received"),
        ("binary", "bytes that are not a text"),
        ("any", "queries of the type ANY are not sent"),
        ("over_tls", "DNS over TLS is not spoken"),
        ("ping", "there is no check by ping"),
        ("procedures", "there is no check by gRPC"),
        ("socket", "a Unix socket cannot be checked"),
        ("web_socket", "there is no check by WebSocket"),
    ],
)
def test_modules_without_an_equivalent(full: ImportReport, module: str, reason: str) -> None:
    assert reason in details(full)[f"modules.{module}.prober"]
    assert outcomes(full)[f"modules.{module}.prober"] == "not carried over"


MODULES = "modules: {web: {prober: http}, port: {prober: tcp}}"
PROMETHEUS = """
global: {scrape_interval: 15s, scrape_timeout: 5s, external_labels: {a: b}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: web
    metrics_path: /probe
    params: {module: [web]}
    static_configs:
      - {targets: [https://a.example, https://drop.example], labels: {team: shop}}
    relabel_configs:
      - {source_labels: [__address__], regex: .*drop.*, action: drop}
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "127.0.0.1:9115"}
  - job_name: ports
    scrape_interval: 1m
    metrics_path: /probe
    params: {module: [port]}
    file_sd_configs: [{files: ["sd/*.json", other.yml]}]
    dns_sd_configs: [{names: [shop.example]}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target, replacement: "${1}:443"}
      - {source_labels: [vhost], target_label: __param_hostname}
  - {job_name: node, static_configs: [{targets: ["n:9100"]}]}
"""


def test_scrape_jobs() -> None:
    targets = text_file('[{"targets": ["10.0.0.9"], "labels": {"vhost": "shop.example"}}]', "ports.json")
    report = import_text("blackbox", MODULES, text_file(PROMETHEUS, "prometheus.yml"), targets, name="blackbox.yml")
    jobs = report.definitions
    assert list(jobs) == ["web-a.example", "ports-10.0.0.9-443"]
    assert jobs["web-a.example"]["schedule"] == {"every": "15s"}
    assert jobs["web-a.example"]["timeout"]["attempt"] == "4s500ms"
    assert jobs["web-a.example"]["tags"] == {"module": "web", "job": "web", "team": "shop"}
    assert jobs["ports-10.0.0.9-443"]["check"]["server_name"] == "shop.example"
    read_jobs(report)
    found = details(report)
    assert found["scrape_configs[0].static_configs[0].targets[1]"] == "relabel_configs drop this target"
    assert found["scrape_configs[1].file_sd_configs[0].files[1]"] == "the file was not given --targets other.yml"
    assert "service discovery" in found["scrape_configs[1].dns_sd_configs[0].names[0]"]
    assert "without a probe of blackbox_exporter" in found["scrape_configs[2].static_configs[0].targets[0]"]
    assert found["rule_files[0]"] == "it configures Prometheus itself"


def _listed(*targets: tuple[str, str]) -> ImportReport:
    lists = [{"targets": [target], "labels": {"module": module} if module else {}} for module, target in targets]
    return import_text("blackbox", MODULES, text_file(json.dumps(lists), "t.json"))


def test_a_module_without_targets_and_a_target_without_module() -> None:
    found = details(_listed(("none", "a"), ("", "b")))
    assert found["modules.web.prober"].startswith("no given target uses this module")
    assert found["[0].targets[0]"] == "the module none does not exist"
    assert found["[1].targets[0]"].startswith("it has no module")


def test_equal_targets_of_two_modules_have_different_names() -> None:
    report = _listed(("web", "a.example:80"), ("port", "a.example:80"))
    assert list(report.definitions) == ["a.example-80", "a.example-80-port"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"source_labels": ["a", "b"], "separator": "-", "target_label": "c"}, {"a": "1", "b": "2", "c": "1-2"}),
        ({"source_labels": ["a"], "regex": "x(.*)", "target_label": "c"}, {"a": "1", "b": "2"}),
        ({"source_labels": ["b"], "regex": "(?P<n>\\d)", "target_label": "c", "replacement": "v${n}"},
         {"a": "1", "b": "2", "c": "v2"}),
        ({"target_label": "a", "replacement": ""}, {"b": "2"}),
        ({"action": "labeldrop", "regex": "a"}, {"b": "2"}),
        ({"action": "labelkeep", "regex": "a"}, {"a": "1"}),
        ({"action": "labelmap", "regex": "(a)", "replacement": "x_$1"}, {"a": "1", "b": "2", "x_a": "1"}),
        ({"action": "keep", "source_labels": ["a"], "regex": "2"}, None),
        ({"action": "drop", "source_labels": ["a"], "regex": "1"}, None),
        ({"action": "keepequal", "source_labels": ["a"], "target_label": "b"}, None),
        ({"action": "dropequal", "source_labels": ["a"], "target_label": "b"}, {"a": "1", "b": "2"}),
        ({"action": "uppercase", "source_labels": ["a"], "target_label": "d"}, {"a": "1", "b": "2", "d": "1"}),
    ],
)  # fmt: skip
def test_relabel_rules(rule: dict[str, Any], expected: dict[str, str] | None) -> None:
    rules = read_rules(text_file(json.dumps([rule]), "rules.json").tree.root)
    assert relabel({"a": "1", "b": "2"}, rules) == expected


@pytest.mark.parametrize(
    ("pattern", "by_line", "expected"),
    [
        ("a$", False, "a\\Z"),
        ("(?m)a$", False, "(?m)a$"),
        ("[$^]", False, "[$^]"),
        ("\\Qa.b\\E+", False, "a\\.b+"),
        ("^+OK", True, "(?m)^OK"),
        ("[[:alpha:]]\\z", False, "[[:alpha:]]\\Z"),
        ("OK", True, "OK"),
    ],
)
def test_patterns_of_go(pattern: str, by_line: bool, expected: str) -> None:
    assert translate_pattern(pattern, by_line=by_line) == expected


def test_files_that_are_neither() -> None:
    with pytest.raises(UnreadableSource, match=r"^x.yml:1:1: has neither modules, scrape_configs nor targets"):
        import_text("blackbox", "a: 1", name="x.yml")
    with pytest.raises(UnreadableSource, match=r"^x.yml:1:1: has no modules"):
        import_text("blackbox", "scrape_configs: []", name="x.yml")


KEYS = st.sampled_from(
    ["http", "tcp", "dns", "timeout", "prober", "tls_config", "headers", "basic_auth", "authorization", "credentials",
     "oauth2", "query_response", "expect", "send", "starttls", "query_name", "query_type", "valid_status_codes", "body",
     "fail_if_header_matches", "header", "regexp", "proxy_url", "min_version", "compression", "server_name", "tls", "x"]
)  # fmt: skip
SCALARS = st.sampled_from(
    [None, True, 200, "http", "tcp", "dns", "A", "TLS13", "5s", "^x$", "a.example", "${1}", "", "("]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=15
)
PROBERS = st.sampled_from(["http", "tcp", "dns", "icmp", "other"])


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.dictionaries(KEYS, VALUES, max_size=5), min_size=1), PROBERS)
def test_each_leaf_of_any_module_is_reported_and_each_job_is_valid(modules: Any, prober: str) -> None:
    for module in modules.values():
        module["prober"] = prober
    targets = [{"targets": ["10.0.0.4:53", "https://a.example"], "labels": {"module": name}} for name in modules]
    files = [
        text_file(json.dumps({"modules": modules}), "blackbox.json"),
        text_file(json.dumps(targets), "targets.json"),
    ]
    report = run_import("blackbox", files)
    for file, document in (("blackbox.json", {"modules": modules}), ("targets.json", targets)):
        paths = [entry.path for entry in report.entries if entry.file == file]
        assert len(paths) == len(set(paths))
        assert set(paths) == leaf_paths(document)
    read_jobs(report)
