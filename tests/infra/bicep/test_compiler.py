"""The compiler gives what the language defines, and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.infra.arm.builtins import FUNCTIONS
from tools.infra.arm.evaluation import evaluate
from tools.infra.arm.functions import OPERATORS, SHARED_FUNCTIONS
from tools.infra.arm.template import compile_parameters, compile_template
from tools.infra.bicep.errors import BicepError
from tools.infra.bicep.parser import parse_bicep


def compiled(folder: Path, text: str, **modules: str) -> dict[str, Any]:
    for name, content in modules.items():
        (folder / f"{name}.bicep").write_text(content)
    (folder / "main.bicep").write_text(text)
    return compile_template(folder / "main.bicep")


def refusal(folder: Path, text: str, **modules: str) -> str:
    with pytest.raises(BicepError) as caught:
        compiled(folder, text, **modules)
    return str(caught.value)


def output(folder: Path, expression: str, before: str = "", kind: str = "string") -> tuple[Any, Any]:
    """The ARM text of an expression, and its value."""
    template = compiled(folder, f"{before}\noutput x {kind} = {expression}\n")
    return template["outputs"]["x"]["value"], evaluate(template, {}).outputs["x"]


@pytest.mark.parametrize(
    ("bicep", "arm", "value"),
    [
        ("'a'", "a", "a"),
        ("'[a]'", "[[a]", "[a]"),
        ("'it\\'s'", "it's", "it's"),
        ("'a${1 + 2 * 3}b'", "[format('a{0}b', add(1, mul(2, 3)))]", "a7b"),
        ("'{${1}}'", "[format('{{{0}}}', 1)]", "{1}"),
        ("'''\na ${x}\n'''", "a ${x}\n", "a ${x}\n"),
        ("true ? 'y' : 'n'", "[if(true(), 'y', 'n')]", "y"),
        ("false ? 'a' : true ? 'b' : 'c'", "[if(false(), 'a', if(true(), 'b', 'c'))]", "b"),
        ("toLower('A')", "[toLower('A')]", "a"),
        (
            "'${7 / 2}${7 % 2}${5 - 2}${max(1, 2)}'",
            "[format('{0}{1}{2}{3}', div(7, 2), mod(7, 2), sub(5, 2), max(1, 2))]",
            "3132",
        ),
        ("null ?? 'a'", "[coalesce(null(), 'a')]", "a"),
        ("items({ b: 1, a: 2 })[0].key", "[items(createObject('b', 1, 'a', 2))[0].key]", "a"),
        ("union({ a: { b: 'x' } }, { a: { c: 'y' } }).a.b", None, "x"),
        ("concat(['a'], ['b'])[1]", "[concat(createArray('a'), createArray('b'))[1]]", "b"),
        ("{ a: { b: 'c' } }.a.b", "[createObject('a', createObject('b', 'c')).a.b]", "c"),
    ],
)
def test_expressions(bicep: str, arm: str | None, value: Any, tmp_path: Path) -> None:
    written, evaluated = output(tmp_path, bicep)
    assert evaluated == value
    assert arm in (written, None)


def test_every_function_and_operator_is_evaluated() -> None:
    assert SHARED_FUNCTIONS | set(OPERATORS.values()) - {"if"} <= set(FUNCTIONS)


@pytest.mark.parametrize(
    ("bicep", "arm"),
    [
        ("!true && false || true", "[or(and(not(true()), false()), true())]"),
        ("!(true || false)", "[not(or(true(), false()))]"),
        ("1 + 2 > 2 && 3 != 4", "[and(greater(add(1, 2), 2), not(equals(3, 4)))]"),
        ("empty('') && !empty('a')", "[and(empty(''), not(empty('a')))]"),
    ],
)
def test_the_precedence_of_operators(bicep: str, arm: str, tmp_path: Path) -> None:
    assert compiled(tmp_path, f"output x bool = {bicep}\n")["outputs"]["x"]["value"] == arm


def test_loops_in_values(tmp_path: Path) -> None:
    before = "var names = ['a', 'b']"
    arm, value = output(tmp_path, "[for (name, i) in names: { n: '${name}${i}' }]", before, "array")
    assert "lambda('name', 'i', " in arm
    assert value == [{"n": "a0"}, {"n": "b1"}]
    arm, value = output(tmp_path, "[for a in names: [for b in names: '${a}${b}']]", before, "array")
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
  // checkov:skip=CKV_X_1: Because.
  name: 'keep'
  scope: account
  dependsOn: [queue]
}

output id string = account.id
output name string = account.name
"""


def test_resources_with_parents_scopes_loops_and_conditions(tmp_path: Path) -> None:
    template = compiled(tmp_path, RESOURCES)
    account, queues, queue, lock = template["resources"]
    assert account["condition"] == "[parameters('on')]"
    assert "dependsOn" not in account, "an existing resource is no dependency"
    assert account["tags"]["url"] == "[reference(resourceId('Microsoft.KeyVault/vaults', 'kv'), '2025-05-01').vaultUri]"
    account_id = "resourceId('Microsoft.Storage/storageAccounts', format('st{0}', uniqueString('x')))"
    assert queues["dependsOn"] == [f"[{account_id}]"]
    assert queue["copy"] == {"name": "queue", "count": "[length(variables('roles'))]"}
    assert queue["condition"] == "[parameters('on')]"
    assert lock["scope"] == f"[{account_id}]"
    assert lock["dependsOn"] == [f"[{account_id}]", "queue"]
    assert lock["metadata"] == {"checkov": ["checkov:skip=CKV_X_1:Because."]}
    found = evaluate(template, {})
    names = [resource["name"].partition("/")[2] for resource in found.resources]
    assert names == ["", "default", "default/r1-0", "default/r2-1", ""]
    assert found.outputs["id"].endswith(f"/providers/Microsoft.Storage/storageAccounts/{found.outputs['name']}")
    assert len(evaluate(template, {"on": False}).resources) == 2


MODULE = """
@secure()
param key string
param size int = 3
output doubled int = size * 2
output seen string = 'a${key}'
"""


def test_modules_have_parameters_scopes_secrets_and_outputs(tmp_path: Path) -> None:
    template = compiled(
        tmp_path,
        """
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
""",
        m=MODULE,
    )
    first, second = template["resources"]
    assert first["resourceGroup"] == "other"
    reference = first["properties"]["parameters"]["key"]["reference"]
    assert reference == {
        "keyVault": {"id": "[resourceId('Microsoft.KeyVault/vaults', 'kv')]"},
        "secretName": "k",
    }
    assert first["properties"]["template"]["parameters"]["key"] == {"type": "securestring"}
    assert second["condition"] == "[true()]"
    assert "/resourceGroups/{1}" in second["dependsOn"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output x string = y\n", "y is not declared"),
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


def test_what_is_known_later_is_no_name(tmp_path: Path) -> None:
    before = "resource a 'Microsoft.X/y@1' = {\n  name: 'a'\n}\n"
    found = refusal(tmp_path, before + "resource b 'Microsoft.X/y@1' = {\n  name: a.properties.z\n}\n")
    assert "b: a name, a condition or a count uses what is known later" in found
    assert "uses what is known later" in refusal(tmp_path, before + "var c = a.properties.z\noutput x string = c\n")


@pytest.mark.parametrize(
    ("params", "message"),
    [("other: 1", "has no parameter other"), ("size: 1", "needs key")],
)
def test_the_parameters_of_a_module_are_checked(params: str, message: str, tmp_path: Path) -> None:
    text = f"module a 'm.bicep' = {{\n  name: 'a'\n  params: {{\n    {params}\n  }}\n}}\n"
    assert message in refusal(tmp_path, text, m=MODULE)


def test_comments_and_metadata(tmp_path: Path) -> None:
    template = compiled(
        tmp_path,
        "// one\n/* two\n three */\nmetadata description = 'four'\n@description('five')\n@allowed(['a', 'b'])\n"
        "@minLength(1)\nparam x string = 'a' // six\noutput y string = x\n",
    )
    assert template["metadata"] == {"description": "four"}
    assert template["parameters"]["x"] == {
        "type": "string",
        "metadata": {"description": "five"},
        "allowedValues": ["a", "b"],
        "minLength": 1,
        "defaultValue": "a",
    }


def test_parameters_are_constants(tmp_path: Path) -> None:
    (tmp_path / "dev.bicepparam").write_text(
        "using 'main.bicep'\n\nparam a = 'x'\nparam b = [1, 2]\nparam c = { d: true }\n"
    )
    assert compile_parameters(tmp_path / "dev.bicepparam")["parameters"] == {
        "a": {"value": "x"},
        "b": {"value": [1, 2]},
        "c": {"value": {"d": True}},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "the parameter x is missing"),
        ({"x": "c"}, "x is not allowed: 'c'"),
        ({"x": 1}, "x is not of type string: 1"),
        ({"x": "a", "y": 1}, "unknown parameters: y"),
    ],
)
def test_a_deployment_checks_its_parameters(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    template = compiled(tmp_path, "@allowed(['a'])\nparam x string\noutput y string = x\n")
    with pytest.raises(ValueError, match=message):
        evaluate(template, given)


def test_an_error_has_its_line() -> None:
    with pytest.raises(BicepError) as caught:
        parse_bicep("param a string\n\nparam b = = 1\n")
    assert caught.value.line == 3
