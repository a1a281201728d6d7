"""Names, tags and properties of resources are texts of others: they cannot break job files, Bicep or the discovery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.job_files.entries import PartInterner
from config.job_files.job_set import JobSet
from config.job_files.reader import parse_file
from config.presets.library import NO_OWN_PRESETS, PresetLibrary, read_preset
from config.presets.preset import Preset
from scheduler.features.discovery.files import add_head, find_refusal, read_own, write_jobs
from scheduler.features.discovery.inventory import Inventory, find_texts, parse_resource
from scheduler.features.discovery.needs import Need, find_needs, list_paths, make_name
from scheduler.features.discovery.roles import write_roles, write_text
from scheduler.features.discovery.service import discover
from tests.infra.azure.bicep import BicepFile
from tests.infra.azure.evaluation import evaluate

SUBSCRIPTION = "00000000-0000-4000-8000-0000000000a1"
ODD = [
    "'",
    '"',
    "${x}",
    "'${x}",
    "\\",
    "\\'",
    "#",
    ": ",
    "- ",
    "{a: [",
    "|",
    "*a",
    "&a",
    "!x",
    "%",
    "@",
    "`",
    "~",
    "\u2028",
    "\n",
]
NAMES = st.text(
    st.one_of(st.sampled_from("ab'\"${}\\#:-|*&!%@`~ .,[]<>\n\r\t\u2028\u0085\u202eé"), st.characters()),
    min_size=1,
    max_size=60,
)
PRESETS = list(NO_OWN_PRESETS)
PATHS = list_paths(PRESETS)

WIDE = b"""
description: anything
role: Reader
scope: /subscriptions/<<subscription>>/resourceGroups/<<resource_group>>/providers/Microsoft.Test/things/<<thing>>
fits: {type: microsoft.test/things, parameter: thing}
parameters:
  subscription: {description: id, example: x, pattern: ".*"}
  resource_group: {description: name, example: x, pattern: ".*"}
  thing: {description: name, example: x, pattern: ".*"}
job:
  description: <<subscription>> <<resource_group>> <<thing>>
  schedule: every 5m
  check: {url: "https://site.example/"}
"""


def identifier(group: str, kind: str, name: str) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{kind}/{name}"


def needs_of(row: Any, presets: list[Preset] = PRESETS) -> list[Need]:
    resource = parse_resource(row, list_paths(presets))
    return [] if resource is None else find_needs([resource], presets).needs


def wide_preset() -> Preset:
    preset = read_preset(WIDE, "wide.yaml", is_own=True)
    assert isinstance(preset, Preset), preset
    return preset


@given(NAMES, NAMES, st.dictionaries(NAMES, NAMES, max_size=5))
def test_any_name_and_tag_is_the_same_after_the_job_file(group: str, name: str, tags: dict[str, str]) -> None:
    row = {"id": identifier(group, "Microsoft.Test/things", name), "tags": tags}
    for need in needs_of(row, [wide_preset()]):
        written = write_jobs({"a": need.definition})
        assert yaml.safe_load(written) == {"jobs": {"a": need.definition}}
        assert need.definition["with"]["thing"] == name
        library = PresetLibrary({"wide": wide_preset()})
        assert find_refusal({make_name(need.base_name): need.definition}, library) == ""


@given(NAMES)
@pytest.mark.parametrize("odd", ODD)
def test_any_text_is_the_same_after_bicep(odd: str, text: str) -> None:
    written = write_text(odd + text)
    assert "\n" not in written
    assert written.isprintable() or not (odd + text).isprintable()
    if "\\u{" not in written:  # the parser of the tests does not know it
        assert _read_bicep(written) == odd + text


def _read_bicep(text: str) -> str:
    from tests.infra.azure.bicep import _Parser

    (declared,) = _Parser(f"var a = {text}").parse_file()
    assert declared.value is not None
    assert declared.value.kind == "constant", "nothing in it is an expression"
    value: str = declared.value.parts[0]
    return value


def test_names_are_the_same_in_a_deployment(tmp_path: Path) -> None:
    names = ["it's ${odd}", "a\\' b", "${'x'}", "plain", "PLAIN"]
    rows = [{"id": identifier("gr'oup ${g}", "Microsoft.Test/things", name)} for name in names]
    needs = [need for row in rows for need in needs_of(row, [wide_preset()])]
    for file, text in write_roles([*needs, *needs], [wide_preset()]).texts.items():
        (tmp_path / file).write_text(text)
    made = evaluate(BicepFile(tmp_path / f"roles-{SUBSCRIPTION}.bicep"), {"principalId": "p"}).resources
    assert [each["scope"] for each in made] == [
        identifier("gr'oup ${g}", "Microsoft.Test/things", name) for name in names[:-1]
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["properties", "hostNames", "tags"]), inner)
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(PATHS)), NAMES, JSON, JSON)
def test_any_row_gives_valid_jobs_or_none(kind: str, name: str, tags: Any, properties: Any) -> None:
    for host in (properties, {"hostNames": properties, "state": "Running", "defaultHostName": name}):
        row = {"id": identifier("shop", kind, name), "tags": tags, "properties": host}
        for need in needs_of(row):
            assert find_refusal({make_name(need.base_name): need.definition}, NO_OWN_PRESETS) == ""


@given(NAMES)
def test_a_made_name_is_that_of_a_job(text: str) -> None:
    assert (
        find_refusal(
            {make_name(text): {"schedule": "every 5m", "check": {"url": "https://a.example/"}}}, NO_OWN_PRESETS
        )
        == ""
    )


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"id": None},
        {"id": identifier("shop", "Microsoft.Web/sites", "a\nb")},
        {"id": identifier("shop", "Microsoft.Web/sites", "a\u2028b")},
        {"id": identifier("shop", "Microsoft.Web", "sites")},
        {"id": identifier("shop", "Microsoft.Web/sites", "a/b")},
        {"id": identifier("shop", "Microsoft.Web/sites", "x" * 2000)},
        {"id": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Web/sites/x"},
    ],
)
def test_a_row_without_the_id_of_a_resource_is_no_resource(row: dict[str, Any]) -> None:
    assert parse_resource(row, PATHS) is None


def test_many_hosts_tags_and_levels_are_bounded() -> None:
    hosts = [f"h{number}.example" for number in range(1000)]
    row = {
        "id": identifier("shop", "Microsoft.Web/sites", "shop"),
        "tags": {f"tag{number}": "x" for number in range(1000)},
        "properties": {"state": "Running", "hostNames": [*hosts, "x" * 5000]},
    }
    needs = needs_of(row)
    assert len(needs) == 20
    assert len(needs[0].definition["tags"]) == 16
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert find_texts({"properties": {"hostNames": deep}}, "properties.hostNames") == []


def test_a_resource_without_valid_values_is_reported() -> None:
    resource = parse_resource({"id": identifier("shop", "Microsoft.KeyVault/vaults", "it's")}, PATHS)
    assert resource is not None
    found = discover(Inventory([resource], frozenset({f"/subscriptions/{SUBSCRIPTION}"})), JobSet())
    (unfit,) = found.report.unfit
    assert (unfit.check, unfit.resource) == ("keyvault-expiry", resource.id)
    assert "does not match" in unfit.reason


@given(st.text(), st.text(min_size=1))
def test_a_file_is_own_until_it_is_edited(body: str, more: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_bytes(add_head(body, "/subscriptions/x/resourceGroups/shop").encode())
        own = read_own(path)
        assert own is not None
        assert (own.group, own.is_edited) == ("/subscriptions/x/resourceGroups/shop", False)
        path.write_bytes(path.read_bytes() + more.encode())
        edited = read_own(path)
        assert edited is not None
        assert edited.is_edited


def test_a_preset_without_a_scope_is_a_job_for_each_resource() -> None:
    preset = wide_preset().model_copy(update={"scope": "", "role": ""})
    library = PresetLibrary({"wide": preset})
    rows = [{"id": identifier("shop", "Microsoft.Test/things", name)} for name in ("one", "two")]
    resources = [resource for row in rows if (resource := parse_resource(row, PATHS)) is not None]
    inventory = Inventory(resources, frozenset({f"/subscriptions/{SUBSCRIPTION}"}))
    found = discover(inventory, JobSet(presets=library))
    assert sorted(found.missing) == ["shop-one-wide", "shop-two-wide"]
    read = parse_file(write_jobs(found.list_jobs()).encode(), "a.yaml", "a", None, PartInterner(), None, {}, library)
    (first, _) = (located.job for located in read.jobs)
    again = discover(inventory, JobSet({first.name: first}, presets=library))
    assert sorted(again.missing) == ["shop-two-wide"]


def test_each_host_of_a_certificate_gets_a_job_and_the_certificate_one_role(tmp_path: Path) -> None:
    hosts = ["shop.example.com", "WWW.shop.example.com", "*.shop.example.com"]
    row = {
        "id": identifier("shop", "Microsoft.Web/certificates", "shop"),
        "properties": {"hostNames": hosts, "thumbprint": "AB"},
    }
    resource = parse_resource(row, PATHS)
    assert resource is not None
    inventory = Inventory([resource], frozenset({f"/subscriptions/{SUBSCRIPTION}"}))
    found = discover(inventory, JobSet())
    assert [each.check for each in found.report.unfit] == ["certificate-deployed"]
    read = parse_file(write_jobs(found.list_jobs()).encode(), "a.yaml", "a", None, PartInterner(), None, {})
    assert not read.problems
    jobs = [located.job for located in read.jobs]
    assert sorted(job.to_json()["check"]["edge"]["host"] for job in jobs) == [
        "shop.example.com",
        "www.shop.example.com",
    ]
    again = discover(inventory, JobSet({jobs[0].name: jobs[0]}))
    assert list(again.missing) == [jobs[1].name]
    assert not again.report.stale

    for file, text in write_roles(needs_of(row), PRESETS).texts.items():
        (tmp_path / file).write_text(text)
    made = evaluate(BicepFile(tmp_path / f"roles-{SUBSCRIPTION}.bicep"), {"principalId": "p"}).resources
    assert [each["scope"].lower() for each in made] == [resource.id.lower()]
