"""The rooms of scheduler/features: which files of a room know the API and the command line, and who knows these."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.layout import Module, read_product

FACE = re.compile(r"scheduler\.features\.\w+\.(?:\w+_)?(routes|commands|page)")
"""Files that the API, the command line or the dashboard shows. All others of a room know none of these."""
FRAMES = ("scheduler.api", "scheduler.cli", "fastapi", "starlette", "typer", "rich", "jinja2")
SHAPES = re.compile(r"scheduler\.features\.\w+\.models")
"""Requests and responses, which commands print, too: they know the base classes of the API, and no FastAPI."""
SHARED = re.compile(r"scheduler\.features\.\w+\.\w+_(options|text)")
"""Options and texts that the commands of several rooms share."""
REGISTRIES = ("scheduler.api.app", "scheduler.api.dashboard.pages")
"""Modules that list the faces of all rooms. The commands are listed by name, in scheduler.cli.registry."""
MAY_USE = {"routes": {"routes"}, "page": {"page", "routes"}, "commands": {"commands"}}
MAX_FILES = 16


def room_of(name: str) -> str:
    return name.split(".")[2]


def modules_of_rooms() -> Iterator[Module]:
    return (module for module in read_product().modules if re.match(r"scheduler\.features\.\w+\.", module.name))


def kind_of(name: str) -> str | None:
    """Return which face a module is, or None."""
    face = FACE.fullmatch(name)
    return face and face[1]


def test_what_a_room_knows_and_does_is_free_of_the_api_and_the_command_line() -> None:
    found = [
        f"{module.name} imports {used}"
        for module in modules_of_rooms()
        if kind_of(module.name) is None and not SHARED.fullmatch(module.name)
        for used in sorted(module.imports)
        if (
            used.startswith(FRAMES)
            and not (SHAPES.fullmatch(module.name) and used.startswith(("scheduler.api", "fastapi")))
        )
        or kind_of(used)
    ]
    assert found == []


def test_a_face_is_used_by_its_own_room_and_by_the_registries() -> None:
    found = [
        f"{module.name} imports {used}"
        for module in read_product().modules
        for used in sorted(module.imports)
        if kind_of(used) and module.name not in REGISTRIES
        if not module.name.startswith("scheduler.features.") or room_of(module.name) != room_of(used)
    ]
    assert found == []


def test_a_face_uses_no_face_of_another_kind() -> None:
    found = [
        f"{module.name} imports {used}"
        for module in modules_of_rooms()
        if (kind := kind_of(module.name)) is not None
        for used in sorted(module.imports)
        if (other := kind_of(used)) is not None and other not in MAY_USE[kind]
    ]
    assert found == []


def test_a_room_is_taken_in_at_once() -> None:
    files: dict[str, int] = {}
    for module in modules_of_rooms():
        files[room_of(module.name)] = files.get(room_of(module.name), 0) + 1
    assert {room: count for room, count in files.items() if count > MAX_FILES} == {}
