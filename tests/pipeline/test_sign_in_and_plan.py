"""`sign-in`, `plan` and `what-if`, the scripts that only pipelines call."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from delivery.az import Az, Completed
from delivery.context import Context
from delivery.environment import EXAMPLE_SUBSCRIPTION, KeyVariables, SignIn
from delivery.errors import DeliveryError, UnusableInput
from delivery.plan import plan
from delivery.sign_in import sign_in
from delivery.what_if import write_what_if
from tests.pipeline.azure.world import World
from tests.project import ROOT

IDENTITY = SignIn("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222")
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJidWlsZCJ9.c2lnbmF0dXJl"


class Program:
    """A stand-in for a program: notes its commands and ends as told."""

    def __init__(self, code: int = 0, output: str = "", errors: str = "") -> None:
        self.commands: list[list[str]] = []
        self._completed = Completed(code, output, errors)

    def __call__(self, command: object, timeout: float) -> Completed:
        assert isinstance(command, list)
        self.commands.append(command)
        return self._completed


def context_of(program: Program, identity: SignIn = IDENTITY, **changes: object) -> Context:
    world = World("functions")
    context = world.context()
    environment = replace(context.environment, sign_in=identity, **changes)  # type: ignore[arg-type]
    az = Az("sub", context.reporter, context.clock, execute=program)
    return replace(context, environment=environment, az=az)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    return file


def test_a_federated_token_is_read_from_its_file_and_is_no_argument(token_file: Path) -> None:
    az = Program()
    sign_in(context_of(az), token_file)
    (command,) = az.commands
    assert command[:3] == ["az", "login", "--service-principal"]
    assert command[command.index("--federated-token") + 1] == f"@{token_file}"
    assert TOKEN not in " ".join(command)


@pytest.mark.parametrize(("client", "arguments"), [(IDENTITY.client_id, ["--client-id", IDENTITY.client_id]), ("", [])])
def test_a_managed_identity_is_the_named_one_or_that_of_the_machine(client: str, arguments: list[str]) -> None:
    az = Program()
    sign_in(context_of(az, SignIn(client_id=client)), None)
    assert az.commands[0][2 : 3 + len(arguments)] == ["--identity", *arguments]


@pytest.mark.parametrize("with_token", [True, False])
def test_the_azure_cli_has_every_argument_of_the_sign_in(token_file: Path, with_token: bool) -> None:
    az = Program()
    sign_in(context_of(az), token_file if with_token else None)
    used = {word for word in az.commands[0] if word.startswith("--")}
    reference = ROOT / "tests" / "data" / "azure" / "az_arguments.json"
    assert used <= set(json.loads(reference.read_text(encoding="utf-8"))["commands"]["login"]["accepted"])


@pytest.mark.parametrize("content", [b"", b"a.b", b"..", b"{}", b"x" * 70_000])
def test_a_file_without_a_token_is_refused_before_the_sign_in(tmp_path: Path, content: bytes) -> None:
    az = Program()
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(UnusableInput, match="OpenID Connect token"):
        sign_in(context_of(az), tmp_path / "token")
    assert az.commands == []


def test_an_environment_without_an_identity_is_named(token_file: Path) -> None:
    with pytest.raises(UnusableInput, match=r"sign_in\.tenant and sign_in\.client_id missing"):
        sign_in(context_of(Program(), SignIn()), token_file)


def test_a_sign_in_is_not_repeated(token_file: Path) -> None:
    az = Program(1, errors="AADSTS70021: No matching federated identity record found")
    with pytest.raises(DeliveryError, match="AADSTS70021"):
        sign_in(context_of(az), token_file)
    assert len(az.commands) == 1


@pytest.mark.parametrize("code", [0, 3])
def test_a_plan_with_and_without_changes_is_written(tmp_path: Path, code: int) -> None:
    program, report = Program(code, "## Plan\n"), tmp_path / "plan.md"
    plan(context_of(Program()), Path("jobs"), report, program)
    assert report.read_text(encoding="utf-8") == "## Plan\n"
    assert program.commands[0][2:5] == ["cli", "plan", "jobs"]


OWN = KeyVariables("X-API-Key")


def test_a_plan_with_own_authentication_needs_the_key_that_only_reads(tmp_path: Path) -> None:
    program, context = Program(0, "## Plan\n"), context_of(Program(), keys=OWN)
    plan(replace(context, keys=replace(context.keys, operate="")), Path("jobs"), tmp_path / "plan.md", program)
    command = program.commands[0]
    variables = [command[command.index(option) + 1] for option in ("--read-key-variable", "--key-variable")]
    assert variables == [OWN.read, OWN.read]


def test_a_plan_reads_and_acts_with_the_keys_of_the_environment(tmp_path: Path) -> None:
    program, context = Program(0, "## Plan\n"), context_of(Program())
    plan(context, Path("jobs"), tmp_path / "plan.md", program)
    command = program.commands[0]
    variables = [command[command.index(option) + 1] for option in ("--read-key-variable", "--key-variable")]
    assert variables == [context.environment.keys.read, context.environment.keys.operate]


@pytest.mark.parametrize("key", ["read", "operate"])
def test_a_plan_without_a_key_is_refused(tmp_path: Path, key: str) -> None:
    context, program = context_of(Program()), Program()
    without = replace(context, keys=replace(context.keys, **{key: ""}))
    with pytest.raises(UnusableInput, match=f"DEPLOY_{key.upper()}_KEY not set"):
        plan(without, Path("jobs"), tmp_path / "plan.md", program)
    assert program.commands == []


def test_the_warning_of_a_plan_that_cannot_be_made_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = Program(0, "### Plan of the job files: not available\n", "there is no plan: it does not answer\n")
    plan(context_of(Program()), Path("jobs"), tmp_path / "plan.md", program)
    reported = capsys.readouterr().err
    assert "there is no plan: it does not answer" in reported
    assert "prod: Plan of the job files: not available; see " in reported
    assert "--if-available" in program.commands[0]


@pytest.mark.parametrize(("code", "error"), [(2, UnusableInput), (1, DeliveryError), (130, DeliveryError)])
def test_a_plan_that_fails_writes_nothing_and_has_its_exit_code(
    tmp_path: Path, code: int, error: type[DeliveryError]
) -> None:
    report = tmp_path / "plan.md"
    with pytest.raises(error, match=r"jobs/a\.yaml:3") as failure:
        plan(context_of(Program()), Path("jobs"), report, Program(code, "", "jobs/a.yaml:3: unknown key"))
    assert (failure.value.exit_code, report.exists()) == (2 if code == 2 else 1, False)


def test_a_plan_of_the_example_environment_is_refused(tmp_path: Path) -> None:
    context = context_of(Program(), subscription=EXAMPLE_SUBSCRIPTION)
    with pytest.raises(UnusableInput, match="is an example"):
        plan(context, Path("jobs"), tmp_path / "plan.md", Program())


class Azure(Program):
    """A stand-in for `az` that fails at the commands with one word, and prints the others."""

    def __init__(self, failing: str = "nothing", errors: str = "") -> None:
        super().__init__(0, errors=errors)
        self._failing = failing

    def __call__(self, command: object, timeout: float) -> Completed:
        super().__call__(command, timeout)
        words = " ".join(self.commands[-1])
        if self._failing in words:
            return Completed(1, "", f"ERROR: {self._failing}: AuthorizationFailed")
        if "linuxFxVersion" in words:
            return Completed(0, json.dumps("DOCKER|contosoregistry.azurecr.io/scheduler@sha256:1"), "")
        return Completed(
            0, f"printed by {self.commands[-1][1]}\n", "WARNING: no-unused-params\n" if "lint" in words else ""
        )


def test_a_what_if_has_the_warnings_of_the_linter_and_compares_with_the_image_that_runs(tmp_path: Path) -> None:
    az, report = Azure(), tmp_path / "what-if.md"
    write_what_if(context_of(az), report)
    text = report.read_text(encoding="utf-8")
    assert text.startswith("### Templates of prod: what a deployment would change\n")
    assert "WARNING: no-unused-params\n" in text
    assert "printed by deployment" in text
    assert "image=contosoregistry.azurecr.io/scheduler@sha256:1" in az.commands[-1]
    reference = json.loads((ROOT / "tests" / "data" / "azure" / "az_arguments.json").read_text(encoding="utf-8"))
    for command in az.commands:
        words = " ".join(command[1 : next(at for at, word in enumerate(command) if word.startswith("--"))])
        assert {word for word in command if word.startswith("--")} <= set(reference["commands"][words]["accepted"])


@pytest.mark.parametrize("failing", ["what-if", "config show"])
def test_a_what_if_that_cannot_be_made_is_a_warning_in_the_report(
    tmp_path: Path, failing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "what-if.md"
    write_what_if(context_of(Azure(failing)), report)
    text = report.read_text(encoding="utf-8")
    assert text.startswith("### Templates of prod: not available\n")
    assert "AuthorizationFailed" in text
    assert "warning: there is no what-if of prod" in capsys.readouterr().err


@pytest.mark.parametrize("failing", ["lint", "build-params"])
def test_templates_that_do_not_compile_end_the_build(tmp_path: Path, failing: str) -> None:
    report = tmp_path / "what-if.md"
    with pytest.raises(DeliveryError, match=failing):
        write_what_if(context_of(Azure(failing)), report)
    assert not report.exists()


def test_a_what_if_longer_than_a_summary_is_cut(tmp_path: Path) -> None:
    class Long(Azure):
        def __call__(self, command: object, timeout: float) -> Completed:
            done = super().__call__(command, timeout)
            return Completed(0, "+ resource\n" * 20_000, "") if "what-if" in self.commands[-1] else done

    write_what_if(context_of(Long()), tmp_path / "what-if.md")
    text = (tmp_path / "what-if.md").read_text(encoding="utf-8")
    assert len(text) < 61_000
    assert text.endswith("... and more: the log has all\n````\n")


def test_a_key_in_the_plan_is_masked(tmp_path: Path) -> None:
    context, report = context_of(Program()), tmp_path / "plan.md"
    plan(context, Path("jobs"), report, Program(0, f"seen: {context.keys.operate}"))
    assert report.read_text(encoding="utf-8") == "seen: ***"
