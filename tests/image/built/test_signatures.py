"""An image is pushed to a registry on this machine, signed with a key, and verified; a foreign key is refused."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.image.built.images import REVISION, VERSION, BuiltImage
from tests.parts.debian_programs import find_unpacked_program
from tests.parts.proc import free_port

SOURCE = "https://git.example.com/team/scheduler"
PASSWORD = "a password of the test"


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """The address of an empty registry without TLS."""
    program, port = find_unpacked_program("docker-registry", "docker-registry"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yml")
        storage = {"filesystem": {"rootdirectory": folder}}
        config.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": f"127.0.0.1:{port}"}}))
        command = [str(program), "serve", str(config)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            wait_for(f"http://127.0.0.1:{port}/v2/")
            yield f"127.0.0.1:{port}"
            process.terminate()


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        command = ["cosign", "generate-key-pair", "--output-key-prefix", name]
        environment = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder


def test_a_pushed_image_is_signed_and_verified(
    functions_image: BuiltImage, registry: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    insecure = functions_image.workshop.folder / "registries.conf"
    insecure.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(insecure))
    (functions_image.folder / "sbom.json").write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6"}))
    public = {name: str(keys / f"{name}.pub") for name in ("ours", "theirs")}

    reference = functions_image.step("push", "--repository", f"{registry}/scheduler").stdout.strip()
    unsigned = functions_image.step("verify", "--key", public["ours"], "--allow-http", check=False)
    functions_image.step("sign", "--key", str(keys / "ours.key"), "--source", SOURCE, "--allow-http")
    functions_image.step("verify", "--key", public["ours"], "--allow-http")
    foreign = functions_image.step("verify", "--key", public["theirs"], "--allow-http", check=False)

    assert (unsigned.returncode, foreign.returncode) == (1, 1)
    assert reference.startswith(f"{registry}/scheduler@sha256:")
    options = ("--key", public["ours"], "--insecure-ignore-tlog=true", "--allow-http-registry")
    found = functions_image.workshop.read(
        "cosign", "verify-attestation", *options, "--type", "slsaprovenance1", reference
    )
    check_provenance(found, reference)
    for tag in (VERSION.replace("+", "-"), REVISION):
        address = f"docker://{registry}/scheduler:{tag}"
        digest = functions_image.workshop.read(
            "skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", address
        )
        assert digest == reference.partition("@")[2]


def check_provenance(envelope: str, reference: str) -> None:
    statement = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    build = statement["predicate"]["buildDefinition"]
    assert statement["subject"][0]["digest"]["sha256"] == reference.rpartition(":")[2]
    assert build["resolvedDependencies"][0] == {"uri": f"git+{SOURCE}", "digest": {"gitCommit": REVISION}}
    assert build["externalParameters"]["version"] == VERSION
