"""What the builds make: the same layers each time, small, with labels."""

from __future__ import annotations

from pathlib import Path

from tests.image.built.images import REVISION, VERSION, BuiltImage, build_image, copy_sources
from tests.image.built.workshop import Workshop

OWN_LAYERS = 3
"""User and folders, packages, program."""


def test_a_second_build_makes_the_same_layers(
    image: BuiltImage, workshop: Workshop, checkouts: tuple[Path, Path]
) -> None:
    """From another checkout, without a cache."""
    again = build_image(workshop, image.target, checkouts[1])

    assert again.layers == image.layers
    assert len(again.layers) > OWN_LAYERS


def test_a_change_of_the_program_makes_one_new_layer(image: BuiltImage, workshop: Workshop) -> None:
    sources = copy_sources(workshop.folder / f"changed-{image.target}", mode=0o644, age=1_700_000_000)
    module = sources / "scheduler/errors.py"
    module.write_text(f"{module.read_text()}\n# a change\n")

    changed = build_image(workshop, image.target, sources, cache=True)

    assert changed.layers[:-1] == image.layers[:-1]
    assert changed.layers[-1] != image.layers[-1]


def test_the_image_adds_three_layers_below_the_limit(image: BuiltImage) -> None:
    done = image.step("size")
    lines = done.stdout.splitlines()
    print(*lines, sep="\n")
    assert len(lines) == OWN_LAYERS + 1
    assert lines[-1].endswith("MB over the base, limit 150 MB")


def test_an_image_above_the_limit_fails(image: BuiltImage) -> None:
    done = image.step("size", "--limit", "50", check=False)
    assert done.returncode == 1
    assert "50 MB are allowed" in done.stderr


def test_labels_and_variables_name_commit_and_version(image: BuiltImage) -> None:
    config = image.inspect()["Config"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.revision"] == REVISION
    assert labels["org.opencontainers.image.version"] == VERSION
    assert f"SCHEDULER_VERSION={VERSION}" in config["Env"]
    assert config["User"] == "10001:10001"


def test_the_health_check_is_in_the_image(image: BuiltImage) -> None:
    found = image.inspect()
    check = found.get("HealthCheck") or found.get("Healthcheck")
    assert check["Test"][:2] == ["CMD", "python3"]
