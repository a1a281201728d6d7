"""What `validate` says of secrets and tokens that may not go where a job sends them, and which rules would mend it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.check_rules import build_bindings
from config.errors import format_warning
from config.job_files.reader import JobFileReader, JobSet
from config.settings.model import Settings
from config.warnings import find_required_rules, format_rules, warnings_of_denied_credentials

PROD = {"secrets": {"unbound": "deny"}, "identity": {"unbound": "deny"}}


def read(folder: Path, text: str, name: str = "a.yaml") -> JobSet:
    (folder / name).write_text(text)
    return JobFileReader(folder).read(folder)


def reported(jobs: JobSet, **settings: Any) -> list[str]:
    bindings = build_bindings(Settings.model_validate(PROD | settings))
    return [format_warning(problem) for problem in warnings_of_denied_credentials(jobs, bindings)]


FULL = """
jobs:
  shop:
    check:
      url: https://shop.internal/
      headers: {X-Key: {secret: shop-key}}
      auth:
        {kind: oauth2, token_url: "https://login.example/token", client_id: me, client_secret: {secret: shop-client}}
"""


def test_each_secret_without_a_rule_is_reported_with_the_line_to_add(tmp_path: Path) -> None:
    key, client = sorted(reported(read(tmp_path, FULL)))
    assert key == (
        "a.yaml:6: warning: jobs.shop.check.headers.X-Key: the secret shop-key has no rule for shop.internal, "
        "which would get it. To allow it, add to the setting secrets.allow (SCHEDULER_SECRETS__ALLOW): "
        "shop-key: [shop.internal]."
    )
    assert "jobs.shop.check.auth.client_secret: the secret shop-client has no rule" in client
    assert client.endswith("shop-client: [shop.internal, login.example].")


def test_jobs_that_send_the_same_to_the_same_place_have_one_warning(tmp_path: Path) -> None:
    check = '{url: "https://a.internal/", headers: {X: {secret: key}}}'
    other = check.replace("a.internal", "evil.example")
    jobs = {"a": check, "b": other, "c": check, "d": check}
    text = "".join(f"  {name}: {{check: {one}}}\n" for name, one in jobs.items())
    first, second = reported(read(tmp_path, f"jobs:\n{text}"))
    assert first.startswith("a.yaml:2: warning: jobs.a.check.headers.X: the secret key has no rule")
    assert first.endswith("key: [a.internal]. 2 more jobs would send it there.")
    assert second.startswith("a.yaml:3: ")
    assert second.endswith("key: [evil.example].")


def test_the_rules_that_are_proposed_let_the_jobs_run(tmp_path: Path) -> None:
    steps = """
  order:
    check:
      kind: steps
      steps:
        - {name: one, url: "https://a.internal/", auth: {kind: bearer, token: {secret: Shop_Key}}}
        - {name: two, url: "/b", auth: {kind: bearer, token: {secret: shop-key}}, proxy: "http://proxy.internal:3128",
           tls: {verify: false}}
        - {name: three, url: "https://10.1.2.3:8443/", auth: {kind: managed_identity, scope: "api://shop/.default"}}
  mail:
    check: {kind: tcp, host: mail.internal, port: 25, dialogue: [{send: {secret: mail}}]}
"""
    jobs = read(tmp_path, FULL + steps)
    rules = find_required_rules(jobs)
    assert rules == {
        "secrets": {
            "shop-key": ("shop.internal", "a.internal", "proxy.internal"),
            "shop-client": ("shop.internal", "login.example"),
            "mail": ("mail.internal",),
        },
        "identity": {"api://shop/.default": ("10.1.2.3",)},
    }
    allow = {group: {"unbound": "deny", "allow": names} for group, names in rules.items()}
    assert reported(jobs, **allow) == []
    assert format_rules(rules).splitlines() == [
        "secrets:",
        "  allow:",
        "    mail: [mail.internal]",
        "    shop-client: [shop.internal, login.example]",
        "    shop-key: [shop.internal, a.internal, proxy.internal]",
        "identity:",
        "  allow:",
        '    "api://shop/.default": [10.1.2.3]',
    ]


def test_a_file_of_the_first_generation_loads_and_is_warned_of_at_its_keys(tmp_path: Path) -> None:
    jobs = {
        "api": {"Endpoint": "https://api.internal/", "AuthType": "bearer", "TokenSecretName": "api-token"},
        "app": {"Endpoint": "https://app.internal/", "AuthType": "managedidentity", "Scope": "api://app/.default"},
        "own": {"Endpoint": "https://own.internal:8443/", "AuthType": "managedidentity"},
    }
    found = reported(read(tmp_path, json.dumps(jobs, indent=1), "a.json"))
    assert [line.partition(":")[2].split(": the secret")[0].split(": an access")[0] for line in found] == [
        "5: warning: api.TokenSecretName",
        "10: warning: app.Scope",
    ]


def test_disabled_jobs_heartbeats_and_bound_secrets_are_left_alone(tmp_path: Path) -> None:
    text = """
jobs:
  off: {enabled: false, check: {url: "https://a.internal/", headers: {X: {secret: a}}}}
  beat: {check: {kind: heartbeat, token: {secret: b}, period: 1h}}
  good: {check: {url: "https://a.internal/", headers: {X: {secret: c}}}}
"""
    assert reported(read(tmp_path, text), secrets={"unbound": "deny", "allow": {"c": ["*.internal"]}}) == []


@pytest.mark.parametrize(
    ("allow", "message"),
    [
        ({"a b": ["x.internal"]}, "is not a secret"),
        ({"a": ["https://x.internal"]}, "without scheme and path"),
        ({"a": ["x.*"]}, "would also match hosts of strangers"),
        ({"a": {"hosts": ["x.internal"], "tags": [":"]}}, "is not a tag"),
        ({"a": {"tags": ["team:a"]}}, "hosts"),
        ({"a": {"hosts": ["x.internal"], "host": ["y"]}}, "host"),
        ({"a-b": ["x.internal"], "A_B": ["y.internal"]}, "name the same"),
        ("[]", "is not a JSON object"),
        ("{", "is not JSON"),
        ('{"a": ["*"], "a": []}', "a key stands twice"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(allow: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate({"secrets": {"allow": allow}})


def test_rules_come_from_a_variable_as_json() -> None:
    settings = Settings.model_validate({"secrets": {"allow": '{"a": ["*.internal"], "b": "x.internal"}'}})
    assert settings.secrets.allow is not None
    assert {name: rule.hosts for name, rule in settings.secrets.allow.items()} == {
        "a": ("*.internal",),
        "b": ("x.internal",),
    }
