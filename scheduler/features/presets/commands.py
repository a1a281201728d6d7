"""`presets`: list what jobs can be made of, and show what a preset makes of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import format_duration
from scheduler.cli.listing import Field, show_list, show_model
from scheduler.cli.output import EXIT_BAD_INPUT, Column, escape_controls, fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.presets.library import PresetLibrary
    from config.presets.preset import Preset
    from scheduler.features.presets.models import PresetDetail, PresetModel, PresetParameterModel

ABOUT = """Presets: checks of Azure that a job uses by name. Those of the product, and those next to the job files.

\b
Examples:
  presets list
  presets show servicebus-dead-letters --with namespace=orders"""

presets = typer.Typer(help=ABOUT, no_args_is_help=True)

_FIELDS: tuple[Field[PresetModel], ...] = (
    Field("name", lambda preset: preset.name, Column("preset", "bold")),
    Field("kind", lambda preset: preset.kind, Column("kind", is_optional=True)),
    Field("role", lambda preset: preset.role, Column("role", no_wrap=False)),
    Field("minimum_interval", lambda preset: _format_interval(preset.minimum_interval), Column("at most every")),
    Field("description", lambda preset: preset.description, Column("description", no_wrap=False, min_width=24)),
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


def _format_interval(seconds: float) -> str:
    return format_duration(seconds) if seconds else ""


def _load_library(command: str) -> PresetLibrary:
    from scheduler.cli.context import load_for_command

    return load_for_command(command).jobs.presets


@presets.command("list")
def list_presets(as_json: AsJson = False) -> None:
    """List the presets with the role that each needs.

    \b
    Examples:
      presets list
    """
    from scheduler.features.presets.models import PresetList, view_preset

    library = _load_library("presets list")
    listed = PresetList(presets=[view_preset(preset) for preset in library])
    show_list(listed, _FIELDS, as_json=as_json, empty="there are no presets")


@presets.command("show")
def show_preset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Preset; `presets list` lists all.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="KEY=VALUE", help="Value of a parameter. (default: examples)"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the parameters and the role of a preset, and the job that it makes, as a job file has it.

    \b
    Examples:
      presets show servicebus-dead-letters
      presets show servicebus-dead-letters --with namespace=orders --json
    """
    from config.presets.preset import Preset
    from scheduler.features.presets.models import view_expansion

    preset = _load_library("presets show").find_used(name, ())
    if not isinstance(preset, Preset):
        fail(f"{name}: {preset.message}; {preset.hint}")
    given = _read_values(preset, values or ())
    if mistakes := list(preset.find_mistakes({**preset.examples, **given}, ())):
        fail("\n".join(str(one.to_problem()) for one in mistakes), EXIT_BAD_INPUT)
    shown = view_expansion(preset, given)
    if as_json:
        show_model(shown)
    else:
        print(*map(escape_controls, _describe(shown).splitlines()), sep="\n")


def _read_values(preset: Preset, pairs: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator:
            fail(f"--with {pair}: write it as parameter=value")
        kind = preset.parameters[key].type if key in preset.parameters else "text"
        given[key] = text.split(",") if kind == "texts" else _read_number(text) if kind == "number" else text
    return given


def _read_number(text: str) -> int | float | str:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _describe(preset: PresetDetail) -> str:
    from jobs.formats import write_definition

    facts = [
        ("role", f"{preset.role} on {preset.scope}" if preset.scope else preset.role),
        ("at most every", _format_interval(preset.minimum_interval)),
        ("runbook", preset.runbook),
        ("source", preset.source),
    ]
    lines = [f"# {preset.name}: {preset.description}"]
    lines += [f"# {name}: {value}" for name, value in facts if value]
    lines += [f"# {parameter.name}: {_describe_parameter(parameter)}" for parameter in preset.parameters]
    used = "".join(f"#   {line}\n" for line in write_definition({"my-job": preset.written}).splitlines())
    return "\n".join(lines) + f"\n# In a job file:\n{used}{write_definition({'my-job': preset.job})}".rstrip()


def _describe_parameter(parameter: PresetParameterModel) -> str:
    needed = "required" if parameter.required else f"default {parameter.default}"
    needed = "optional" if not parameter.required and parameter.default is None else needed
    return f"{parameter.description} ({parameter.type}, {needed}; such as {parameter.example})"
