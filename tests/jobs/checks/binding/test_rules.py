"""Which rule counts for a secret or a token, and what a denial says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from config.check_rules import build_bindings
from config.settings.model import Settings
from jobs.checks.binding.names import ProtectedResource, Recipient, classify_scope, parse_tag
from jobs.checks.binding.rules import Bindings
from jobs.checks.errors import CredentialDenied
from jobs.checks.port import Credential


def bound(*, unbound: str = "deny", **allow: Any) -> Bindings:
    return build_bindings(Settings.model_validate({"secrets": {"unbound": unbound, "allow": allow}}))


def granted(unbound: str = "deny", allow: Any = None, **more: Any) -> Bindings:
    return build_bindings(Settings.model_validate({"identity": {"unbound": unbound, "allow": allow}, **more}))


def denial(
    bindings: Bindings, name: str, *hosts: str, tags: Mapping[str, str] | None = None, kind: Any = "secret"
) -> str:
    try:
        bindings.check(Credential(kind, name), [Recipient.from_host(host, 443) for host in hosts], tags or {})
    except CredentialDenied as denied:
        return str(denied)
    return ""


def token(bindings: Bindings, scope: str, *hosts: str) -> str:
    return denial(bindings, scope, *hosts, kind="scope")


# --- secrets ---


def test_a_secret_reaches_the_hosts_of_its_rule_alone() -> None:
    bindings = bound(checkout=["*.internal"])
    assert denial(bindings, "checkout", "api.internal") == ""
    assert denial(bindings, "checkout", "evil.example") == (
        "Not sent: the secret checkout may go to *.internal, but evil.example would get it. "
        "To allow it, add to the setting secrets.allow (SCHEDULER_SECRETS__ALLOW): checkout: [evil.example]."
    )


def test_each_caller_who_gets_it_must_be_among_them() -> None:
    assert "proxy.example" in denial(bound(checkout=["*.internal"]), "checkout", "api.internal", "proxy.example")


@pytest.mark.parametrize("spelling", ["checkout-token", "CHECKOUT_TOKEN", "Checkout-Token", "checkout_token"])
def test_a_name_is_compared_as_variables_and_the_vault_compare_it(spelling: str) -> None:
    bindings = bound(unbound="allow", **{"Checkout_Token": ["api.internal"]})
    assert denial(bindings, spelling, "evil.example") != ""
    assert denial(bindings, spelling, "api.internal") == ""


def test_a_secret_without_a_rule_is_denied_or_free_as_the_settings_report() -> None:
    assert denial(bound(unbound="allow"), "checkout", "evil.example") == ""
    assert denial(bound(), "checkout", "api.internal", "[::1]") == (
        "Not sent: the secret checkout has no rule for api.internal and [::1], "
        "which would get it. To allow it, add to the setting secrets.allow (SCHEDULER_SECRETS__ALLOW): "
        'checkout: [api.internal, "[::1]"].'
    )


def test_the_most_exact_name_counts_alone() -> None:
    bindings = bound(**{"*": ["*.internal"], "pay-*": ["pay.internal"], "pay-key": ["vault.internal"]})
    assert denial(bindings, "other", "a.internal") == ""
    assert denial(bindings, "pay-token", "pay.internal") == ""
    assert denial(bindings, "pay-token", "a.internal") != ""
    assert denial(bindings, "pay-key", "vault.internal") == ""
    assert denial(bindings, "pay-key", "pay.internal") != ""


def test_of_names_that_are_equally_exact_each_must_allow_it() -> None:
    bindings = bound(**{"pay-*": ["a.internal", "b.internal"], "*-key": ["b.internal", "c.internal"]})
    assert [denial(bindings, "pay-key", f"{host}.internal") == "" for host in "abc"] == [False, True, False]


def test_a_rule_without_hosts_lets_no_one_have_it() -> None:
    assert "may go to no host" in denial(bound(unbound="allow", checkout=[]), "checkout", "api.internal")


def test_a_rule_may_be_for_jobs_with_a_tag() -> None:
    bindings = bound(checkout={"hosts": "api.internal", "tags": ["team:checkout", "shared"]})
    assert denial(bindings, "checkout", "api.internal", tags={"team": "checkout"}) == ""
    assert denial(bindings, "checkout", "api.internal", tags={"shared": "yes"}) == ""
    assert denial(bindings, "checkout", "api.internal", tags={"team": "search"}) == (
        "Not sent: the secret checkout is only for jobs with the tag team:checkout or shared. "
        "To allow it, change its rule in the setting secrets.allow (SCHEDULER_SECRETS__ALLOW)."
    )
    assert denial(bindings, "checkout", "evil.example", tags={"team": "checkout"}) != ""


@pytest.mark.parametrize("text", ["team:checkout", "team=checkout", " team:checkout "])
def test_a_tag_is_written_with_a_colon_or_as_commands_write_it(text: str) -> None:
    assert str(parse_tag(text)) == "team:checkout"


@pytest.mark.parametrize("text", ["", ":x", "team:", "=x"])
def test_half_a_tag_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a tag"):
        parse_tag(text)


# --- tokens of the app's identity ---


def test_a_token_reaches_the_host_of_its_scope_without_a_rule() -> None:
    bindings = granted()
    assert token(bindings, "https://api.contoso.com/.default", "API.contoso.com") == ""
    assert "has no rule" in token(bindings, "https://api.contoso.com/.default", "evil.example")
    assert "has no rule" in token(bindings, "https://api.contoso.com/.default", "api.contoso.com", "proxy.example")
    assert "has no rule" in token(bindings, "https://api.contoso.com@evil.example/.default", "api.contoso.com")


def test_a_scope_that_names_no_host_needs_a_rule() -> None:
    assert "has no rule" in token(granted(), "api://checkout/.default", "checkout")
    assert token(granted(allow={"api://checkout/.default": ["*.internal"]}), "api://checkout", "a.internal") == ""
    assert token(granted(unbound="allow"), "api://checkout/.default", "a.internal") == ""


PROTECTED = [
    "https://vault.azure.net/.default",
    "https://VAULT.azure.net//.default",
    "https://vault.azure.net:443/user_impersonation",
    "https://mine.vault.azure.net/.default",
    "https://vault%2Eazure.net/.default",
    "https://vault.azure.cn/.default",
    "https://vault.usgovcloudapi.net/.default",
    "https://managedhsm.azure.net/.default",
    "cfa8b339-82a2-471a-a3c9-0fc0be7a4093/.default",
    "https://storage.azure.com/.default",
    "https://account.blob.core.windows.net/.default",
    "https://account.table.core.usgovcloudapi.net/.default",
    "https://account.queue.core.chinacloudapi.cn/.default",
    "E406A681-F3D4-42A8-90B6-C2B029497AF1/.default",
    "https://management.azure.com/.default",
    "https://management.core.windows.net//.default",
    "https://management.usgovcloudapi.net/.default",
    "https://management.chinacloudapi.cn/.default",
    "797f4846-ba00-4fd7-ba43-dac1f8f63013",
    "https://graph.microsoft.com/.default",
    "https://graph.microsoft.us/.default",
    "https://microsoftgraph.chinacloudapi.cn/.default",
    "00000003-0000-0000-c000-000000000000/.default",
    "api://mine/.default https://vault.azure.net/.default",
    "https://vault\u3002azure\u3002net/.default",
]


@pytest.mark.parametrize("scope", PROTECTED)
@pytest.mark.parametrize("unbound", ["allow", "deny"])
def test_tokens_that_open_more_than_a_target_are_given_to_no_job_by_default(scope: str, unbound: str) -> None:
    host = scope.removeprefix("https://").partition("/")[0]
    reported = token(granted(unbound), scope, host)
    assert "so a job gets it only by a rule for exactly this scope" in reported
    assert "so a job gets it only by" in token(granted(unbound, {"*": ["*"]}), scope, host)


def test_a_rule_that_names_the_very_scope_lets_named_hosts_have_its_token() -> None:
    bindings = granted(allow={"https://management.azure.com/.default": ["management.azure.com"]})
    assert token(bindings, "https://management.azure.com/.default", "management.azure.com") == ""
    assert token(bindings, "https://management.azure.com/.default", "evil.example") != ""


@pytest.mark.parametrize(
    ("scope", "settings"),
    [
        ("https://vault.azure.net/.default", {"key_vault_url": "https://mine.vault.azure.net"}),
        ("https://mine.vault.corp/.default", {"key_vault_url": "https://mine.vault.corp"}),
        ("https://storage.azure.com/.default", {"store": "azure"}),
        ("https://other.blob.core.windows.net/.default", {"store": "azure"}),
        ("https://storage.azure.com/.default", {"jobs_container": "https://a.blob.core.windows.net/jobs"}),
        ("https://tables.corp/.default", {"storage": {"table_url": "https://tables.corp"}}),
    ],
)
def test_what_opens_the_programs_own_store_or_vault_is_given_by_no_rule(scope: str, settings: dict[str, Any]) -> None:
    allow = {scope: ["*"]}
    assert token(granted("allow", allow), scope, "a.example") == ""
    reported = token(granted("allow", allow, **settings), scope, "a.example")
    assert "would open the store or the vault of this program" in reported
    assert reported.endswith("No setting allows that.")


def test_a_scope_of_ones_own_is_not_protected() -> None:
    assert classify_scope("https://api.contoso.com/.default") is ProtectedResource.NONE
    assert classify_scope("api://2b8f3b0c-1b1e-4a8e-9f0e-000000000000/.default") is ProtectedResource.NONE
