"""Fixtures of the tests of Kubernetes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.kubernetes.manifests import FOLDER, build_folder


@pytest.fixture(scope="session")
def with_first_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], ...]:
    """The overlay prod with the component first-key, as docs/kubernetes.md adds it."""
    folder = tmp_path_factory.mktemp("first-key")
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "scheduler",
        "resources": [_relative(FOLDER / "overlays" / "prod", folder)],
        "components": [_relative(FOLDER / "components" / "first-key", folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return build_folder(str(folder))


def _relative(path: Path, start: Path) -> str:
    return os.path.relpath(path, start)
