"""The evaluation gives what the language defines, and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infra.azure.bicep import BicepError, BicepFile
from tests.infra.azure.deployments import BICEP
from tests.infra.azure.evaluation import FUNCTIONS, Deployment, evaluate, evaluate_parameters


def read_text(folder: Path, text: str, **modules: str) -> BicepFile:
    for name, content in modules.items():
        (folder / f"{name}.bicep").write_text(content)
    (folder / "main.bicep").write_text(text)
    return BicepFile(folder / "main.bicep")


def evaluated(folder: Path, text: str, **modules: str) -> Deployment:
    return evaluate(read_text(folder, text, **modules), {})


def refusal(folder: Path, text: str, **modules: str) -> str:
    with pytest.raises(BicepError) as caught:
        evaluated(folder, text, **modules)
    return str(caught.value)


def output(folder: Path, expression: str, before: str = "", kind: str = "string") -> Any:
    return evaluated(folder, f"{before}\noutput x {kind} = {expression}\n").outputs["x"]


@pytest.mark.parametrize(
    ("bicep", "value"),
    [
        ("'a'", "a"),
        ("'[a]'", "[a]"),
        ("'it\\'s'", "it's"),
        ("'a${1 + 2 * 3}b'", "a7b"),
        ("'{${1}}'", "{1}"),
        ("'${'${'a'}b'}$c\\${d}'", "ab$c${d}"),
        ("'''\na ${x}\n'''", "a ${x}\n"),
        ("true ? 'y' : 'n'", "y"),
        ("false ? 'a' : true ? 'b' : 'c'", "b"),
        ("false\n  ? 'a'\n  : 'b'", "b"),
        ("'${7 / 2}${7 % 2}${5 - 2}${max(1, 2)}${-1}${true}'", "3132-1True"),
        ("null ?? 'a'", "a"),
        ("items({ b: 1, a: 2 })[0].key", "a"),
        ("union({ a: { b: 'x' } }, { a: { c: 'y' } }).a.b", "x"),
        ("concat(['a'], ['b'])[1]", "b"),
        ("union(['a', 'b', 'a'], ['b', 'c'])[2]", "c"),
        ("split('a/subnets/b', '/subnets/')[0]", "a"),
        ("{ a: 'b' }.?a ?? 'c'", "b"),
        ("{ a: 'b' }.?d ?? 'c'", "c"),
        ("{ 'a.b': 'b' }[?'a.b'] ?? 'c'", "b"),
        ("true ? 'a' : fail('b')", "a"),
        ("{ a: { 'b': 'c' } }.a.b", "c"),
    ],
)
def test_expressions(bicep: str, value: Any, tmp_path: Path) -> None:
    assert output(tmp_path, bicep) == value


def test_every_function_and_operator_is_evaluated() -> None:
    """Also those in branches that no deployment of the tests reaches."""
    files = [BicepFile(path) for path in BICEP.rglob("*.bicep")]
    nodes = [node for file in files for each in file.declarations for top in each.nodes() for node in top.walk()]
    used = {node.parts[0] for node in nodes if node.kind == "call"}
    assert used <= FUNCTIONS.keys() | {"resourceGroup", "resourceId", "fail"}


@pytest.mark.parametrize(
    ("bicep", "value"),
    [
        ("!true && false || true", True),
        ("!(true || false)", False),
        ("!false && false", False),
        ("true || true && false", True),
        ("1 + 2 > 2 && 3 != 4", True),
        ("7 - 2 - 1 == 4 && 2 + 2 * 3 == 8", True),
        ("empty('') && !empty('a')", True),
    ],
)
def test_the_precedence_of_operators(bicep: str, value: bool, tmp_path: Path) -> None:
    assert output(tmp_path, bicep, kind="bool") is value


def test_loops_in_values(tmp_path: Path) -> None:
    before = "var names = ['a', 'b']"
    value = output(tmp_path, "[for (name, i) in names: { n: '${name}${i}' }]", before, "array")
    assert value == [{"n": "a0"}, {"n": "b1"}]
    value = output(tmp_path, "[for a in names: [for b in names: '${a}${b}']]", before, "array")
    assert value == [["aa", "ab"], ["ba", "bb"]]


RESOURCES = """
param on bool = true
var roles = ['r1', 'r2']

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: 'kv'
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = if (on) {
  name: 'st${uniqueString('x')}'
  tags: {
    vault: vault.id
    url: vault.properties.vaultUri
  }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [for (role, i) in roles: if (on) {
  parent: queues
  name: '${role}-${i}'
}]

resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'keep'
  scope: account
  dependsOn: [queue]
}

output id string = account.id
output name string = account.name
"""


def test_resources_with_parents_scopes_loops_and_conditions(tmp_path: Path) -> None:
    file = read_text(tmp_path, RESOURCES)
    found = evaluate(file, {})
    names = [resource["name"].partition("/")[2] for resource in found.resources]
    assert names == ["", "default", "default/r1-0", "default/r2-1", ""]
    account, queues, *_, lock = found.resources
    assert str(account["tags"]["url"]) == "<reference Microsoft.KeyVault/vaults/kv.vaultUri>"
    assert account["tags"]["vault"].endswith("/resourceGroups/rg-scheduler/providers/Microsoft.KeyVault/vaults/kv")
    assert found.outputs["id"].endswith(f"/providers/Microsoft.Storage/storageAccounts/{account['name']}")
    assert found.outputs["name"] == account["name"]
    assert queues == {
        "type": "Microsoft.Storage/storageAccounts/queueServices",
        "apiVersion": "2025-06-01",
        "name": f"{account['name']}/default",
    }
    assert lock["scope"] == found.outputs["id"]
    assert len(evaluate(file, {"on": False}).resources) == 2


MODULE = """
@secure()
param key string
param size int = 3
output doubled int = size * 2
output seen string = 'a${key}'
output group string = resourceGroup().name
"""
TWO_MODULES = """
resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: 'kv'
}

module first 'm.bicep' = {
  name: 'first'
  scope: resourceGroup('other')
  params: {
    key: vault.getSecret('k')
  }
}

module second 'm.bicep' = if (true) {
  name: 'second'
  params: {
    key: first.outputs.seen
    size: 4
  }
}

output all array = [first.outputs, second.outputs]
"""


def test_modules_have_parameters_scopes_secrets_and_outputs(tmp_path: Path) -> None:
    first, second = evaluated(tmp_path, TWO_MODULES, m=MODULE).outputs["all"]
    assert first == {"doubled": 6, "seen": "a<secret k>", "group": "other"}
    assert second == {"doubled": 8, "seen": "aa<secret k>", "group": "rg-scheduler"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@secure()\n", "", "key of first is not secure"),
        (" existing = ", " = ", "getSecret needs an existing vault"),
        ("if (true)", "if (false)", "second is used, and is not deployed"),
        ("second.outputs]", "second.outputs.more]", "more does not exist"),
    ],
)
def test_a_wrong_use_of_a_module_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert message in refusal(tmp_path, TWO_MODULES.replace(old, new), m=MODULE.replace(old, new))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output x string = y\n", "y is not declared"),
        ("output x array = [for a in a: a]\n", "a is not declared"),
        ("output x array = [[for a in []: a], a]\n", "a is not declared"),
        ("output x string = 'a'.b()\n", "the method b is not supported"),
        ("param y string\n", "not used: y"),
        ("var a = 'x'\nvar b = a\n", "not used: b"),
        ("var a = 'x'\nparam a string\noutput x string = a\n", "declared twice: a"),
        ("output x string = loadFileAsBase64('y')\n", "the function loadFileAsBase64 is not supported"),
        ("output x string = 'a\n", "a text does not end"),
        ("output x string = (1\n", "expected ')'"),
        ("output x string = { a: 1, a: 2 }\n", "a key is given twice"),
        ("func f() string => 'a'\n", "unknown statement 'func'"),
        ("type t = string\n", "unknown statement 'type'"),
        ("@export()\nparam y string\noutput x string = y\n", "the decorator export is not supported"),
        ("param y t\noutput x string = y\n", "the type 't' of y is not supported"),
        ("resource a 'Microsoft.X/y' = {\n  name: 'a'\n}\n", "a has no API version"),
        ("resource a 'Microsoft.X/y@1' = {\n  location: 'a'\n}\n", "a has no name"),
        ("output x string = 'a' 'b'\n", "unexpected"),
        ("~\n", "unexpected '~'"),
    ],
)
def test_what_is_wrong_or_unknown_is_refused(text: str, message: str, tmp_path: Path) -> None:
    found = refusal(tmp_path, text)
    assert message in found
    assert found.startswith("main.bicep:")


def test_a_deployment_can_be_refused(tmp_path: Path) -> None:
    assert "a needs b" in refusal(tmp_path, "param a bool = true\noutput x bool = a ? fail('a needs b') : true\n")


def test_a_variable_can_hold_what_is_known_later(tmp_path: Path) -> None:
    text = "resource a 'Microsoft.X/y@1' = {\n  name: 'a'\n}\nvar v = { b: a.properties.z }\noutput x string = v.b\n"
    assert str(evaluated(tmp_path, text).outputs["x"]) == "<reference Microsoft.X/y/a.z>"


def test_a_scope_can_be_one_round_of_a_loop(tmp_path: Path) -> None:
    text = (
        "var names = ['a', 'b']\nresource each 'Microsoft.X/y@1' = [for name in names: {\n  name: name\n}]\n"
        "resource role 'Microsoft.X/z@1' = [for (name, i) in names: {\n  name: name\n  scope: each[i]\n}]\n"
    )
    scopes = [role["scope"].rpartition("/")[2] for role in evaluated(tmp_path, text).of_type("Microsoft.X/z")]
    assert scopes == ["a", "b"]


def test_what_is_known_later_is_no_name(tmp_path: Path) -> None:
    before = "resource a 'Microsoft.X/y@1' = {\n  name: 'a'\n}\n"
    message = "b: a name, a condition, a count or a variable uses what is known later"
    for name, condition in (("a.properties.z", "true"), ("'b'", "a.properties.z == 1")):
        text = f"resource b 'Microsoft.X/y@1' = if ({condition}) {{\n  name: {name}\n}}\n"
        assert message in refusal(tmp_path, before + text)
    variable = "var v = a.properties.z\nvar w = '${v}1'\nresource b 'Microsoft.X/y@1' = {\n  name: w\n}\n"
    assert message in refusal(tmp_path, before + variable)
    assert message in refusal(tmp_path, before + "var b = [for i in a.properties.z: i]\noutput x array = b\n")
    loop = "resource b 'Microsoft.X/y@1' = [for i in a.properties.z: {\n  name: i\n}]\n"
    assert message in refusal(tmp_path, before + loop)


@pytest.mark.parametrize(
    ("params", "message"),
    [("other: 1", "m.bicep:0: unknown parameters: other"), ("size: 1", "the parameter key is missing")],
)
def test_the_parameters_of_a_module_are_checked(params: str, message: str, tmp_path: Path) -> None:
    text = f"module a 'm.bicep' = {{\n  name: 'a'\n  params: {{\n    {params}\n  }}\n}}\n"
    assert message in refusal(tmp_path, text, m=MODULE)


def test_comments_and_metadata(tmp_path: Path) -> None:
    file = read_text(
        tmp_path,
        "// one\n/* two\n three */\nmetadata description = 'four'\n@description('five')\n@allowed(['a', 'b'])\n"
        "@minLength(1)\nparam x string = 'a' // six\noutput y string = x\n",
    )
    metadata, parameter, _ = file.declarations
    assert (metadata.kind, metadata.name, metadata.type) == ("metadata", "description", "")
    assert metadata.value is not None
    assert metadata.value.parts == ("four",)
    assert (parameter.kind, parameter.name, parameter.type, parameter.line) == ("param", "x", "string", 8)
    assert list(parameter.decorators) == ["description", "allowed", "minLength"]


def test_parameters_are_constants(tmp_path: Path) -> None:
    (tmp_path / "dev.bicepparam").write_text(
        "using 'main.bicep'\n\nparam a = 'x'\nparam b = [1, 2]\nparam c = { d: true }\n"
    )
    assert evaluate_parameters(tmp_path / "dev.bicepparam") == {"a": "x", "b": [1, 2], "c": {"d": True}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "the parameter x is missing"),
        ({"x": "c"}, "x is not allowed: 'c'"),
        ({"x": 1}, "x is not of type string: 1"),
        ({"x": "a", "y": 1}, "unknown parameters: y"),
        ({"x": "a", "n": True}, "n is not of type int: True"),
        ({"x": "a", "n": 4}, "n is out of range: 4"),
    ],
)
def test_a_deployment_checks_its_parameters(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    text = "@allowed(['a'])\nparam x string\n@maxValue(3)\nparam n int = 1\noutput y string = '${x}${n}'\n"
    with pytest.raises(BicepError, match=message):
        evaluate(read_text(tmp_path, text), given)


def test_an_error_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(BicepError) as caught:
        read_text(tmp_path, "param a string\n\nparam b = = 1\n")
    assert caught.value.line == 3
