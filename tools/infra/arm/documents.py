"""The files below infra/arm, which are compiled from infra/bicep. Called by `./dev infra`.

    python -m tools.infra.arm.documents             # write them
    python -m tools.infra.arm.documents --check     # exit code 1: one is out of date

main.json is the template with its modules, and parameters/ENVIRONMENT.json the parameters of an environment.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.infra.arm.template import compile_parameters, compile_template

ROOT = Path(__file__).resolve().parents[3]
BICEP, ARM = ROOT / "infra" / "bicep", ROOT / "infra" / "arm"


def environments() -> list[str]:
    """Return the names of the environments with parameters."""
    return sorted(path.stem for path in (BICEP / "parameters").glob("*.bicepparam"))


def compile_documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each file with its content. Raises BicepError."""
    yield ARM / "main.json", compile_template(BICEP / "main.bicep")
    for name in environments():
        yield ARM / "parameters" / f"{name}.json", compile_parameters(BICEP / "parameters" / f"{name}.bicepparam")


def format_document(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def find_outdated() -> list[Path]:
    """Return the files whose content differs from what infra/bicep gives, and files that nothing gives."""
    expected = {path: format_document(content) for path, content in compile_documents()}
    found = [path for path, text in expected.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return [*found, *(path for path in ARM.rglob("*.json") if path not in expected)]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.infra.arm.documents")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is out of date")
    if parser.parse_args(arguments).check:
        outdated = find_outdated()
        for path in outdated:
            print(f"{path.relative_to(ROOT)} is out of date: ./dev infra write")
        return 1 if outdated else 0
    for path, content in compile_documents():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(format_document(content), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
