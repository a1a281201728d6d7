"""Reads infra/environments/NAME.json: which app on which platform, and how to verify it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from delivery.clock import parse_duration
from delivery.errors import UnusableInput

ENVIRONMENTS = Path(__file__).resolve().parents[2] / "environments"
FUNCTIONS, CONTAINER_APPS, EMBEDDED = "functions", "container-apps", "embedded"
PLATFORMS = (FUNCTIONS, CONTAINER_APPS, EMBEDDED)
EXAMPLE_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
"""The subscription of the example files."""

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY_NAME = re.compile(r"[A-Za-z_][\w-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_REQUIRED = ("platform", "subscription", "resource_group", "app", "url", "registry", "canary")
_OPTIONAL = ("slot", "slot_url", "idle_prefix", "jobs", "sign_in", "keys", "verify")


@dataclass(frozen=True)
class KeyVariables:
    """The header of API keys, and the names of the variables that contain them. Keys are never in a file."""

    header: str = "x-functions-key"
    read: str = "DEPLOY_READ_KEY"
    operate: str = "DEPLOY_OPERATE_KEY"

    @property
    def are_function_keys(self) -> bool:
        """Whether the Functions host checks them: then a POST that only reads needs the key `operate` as well."""
        return self.header.lower() == "x-functions-key"


@dataclass(frozen=True)
class SignIn:
    """The identity of a pipeline: its tenant, and the client id of an app registration or a managed identity."""

    tenant: str = ""
    client_id: str = ""


@dataclass(frozen=True)
class VerifyLimits:
    """When a deployment counts as verified. Times in seconds.

    `within`: until the version is ready. `soak`: time in which all checks are repeated. `poll`: between two requests.
    `tick`: maximum age of the last tick. `canary`: until a run of the canary job has succeeded. `looks`: between two
    readings of the runs. `baseline`: time before the deployment whose runs are compared. `lag`: age of the newest runs
    that count, because later ones are not finished. `runs`: minimum share of the runs before; `failing`: maximum share
    of jobs that fail now and did not before.
    """

    within: float = 600.0
    soak: float = 180.0
    poll: float = 5.0
    tick: float = 180.0
    canary: float = 120.0
    looks: float = 30.0
    baseline: float = 600.0
    lag: float = 15.0
    runs: float = 0.9
    failing: float = 0.05


_SHARES = ("runs", "failing")


@dataclass(frozen=True)
class Environment:
    """One deployed app. `slot`: of the Functions app; empty: none. `idle_prefix`: of tables and queues of the slot or
    revision that is not in service. `jobs`: Container Apps jobs that run the image, too."""

    name: str
    platform: str
    subscription: str
    resource_group: str
    app: str
    url: str
    registry: str
    canary: str
    slot: str = ""
    slot_url: str = ""
    idle_prefix: str = "staging"
    jobs: tuple[str, ...] = ()
    sign_in: SignIn = SignIn()
    keys: KeyVariables = KeyVariables()
    verify: VerifyLimits = VerifyLimits()


def read_environment(name: str, folder: Path = ENVIRONMENTS) -> Environment:
    """Read the file of an environment. Raises UnusableInput with every problem of the file."""
    if not _NAME.fullmatch(name):
        raise UnusableInput(f"ENVIRONMENT: {name!r} is not a name of letters, digits, - and _.")
    file = folder / f"{name}.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(path.stem for path in folder.glob("*.json"))) or "none"
        raise UnusableInput(f"ENVIRONMENT: {file} does not exist. Environments in this folder: {known}.") from None
    except (OSError, ValueError) as error:
        raise UnusableInput(f"{file}: cannot be read as JSON: {error}") from None
    problems = list(_find_problems(values))
    if problems:
        raise UnusableInput("\n  ".join([f"{file} is invalid:", *problems]))
    given = {key: value for key, value in values.items() if key not in ("jobs", "sign_in", "keys", "verify")}
    return Environment(
        name=name,
        **given,
        jobs=tuple(values.get("jobs", ())),
        sign_in=SignIn(**values.get("sign_in", {})),
        keys=KeyVariables(**values.get("keys", {})),
        verify=_limits(values.get("verify", {})),
    )


def _find_problems(values: Any) -> list[str]:
    if not isinstance(values, Mapping):
        return ["expected an object, such as infra/environments/prod.json"]
    problems = [f"{key} is missing" for key in _REQUIRED if not values.get(key)]
    problems += [_unknown(key, (*_REQUIRED, *_OPTIONAL)) for key in values if key not in (*_REQUIRED, *_OPTIONAL)]
    texts = [key for key in (*_REQUIRED, "slot", "slot_url", "idle_prefix") if key in values]
    problems += [f"{key}: expected a text, found {values[key]!r}" for key in texts if not isinstance(values[key], str)]
    if problems:
        return problems
    if values["platform"] not in PLATFORMS:
        problems.append(f"platform: expected one of {', '.join(PLATFORMS)}, found {values['platform']!r}")
    if values.get("slot") and not values.get("slot_url"):
        problems.append("slot_url is missing: the address of the slot, where the new version is tested before the swap")
    problems += [f"{key}: {problem}" for key in ("url", "slot_url") if (problem := _url_problem(values.get(key, "")))]
    if not re.fullmatch(r"[a-z][a-z0-9]{0,19}", values.get("idle_prefix", "staging")):
        problems.append("idle_prefix: expected up to 20 lower-case letters and digits, such as staging")
    jobs = values.get("jobs", [])
    if not isinstance(jobs, list) or not all(isinstance(one, str) and _NAME.fullmatch(one) for one in jobs):
        problems.append(f"jobs: expected a list of names of Container Apps jobs, found {jobs!r}")
    id_expected = f"expected an id such as {EXAMPLE_SUBSCRIPTION}"
    problems += _text_problems("sign_in", values.get("sign_in", {}), SignIn, _GUID, id_expected)
    name_expected = "expected a name, never a key; found something else"
    problems += _text_problems("keys", values.get("keys", {}), KeyVariables, _KEY_NAME, name_expected)
    return [*problems, *_limit_problems(values.get("verify", {}))]


def _url_problem(url: str) -> str:
    parts = urlsplit(url)
    if not url or (parts.scheme in ("http", "https") and parts.netloc and not parts.query and "@" not in parts.netloc):
        is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        return "" if parts.scheme != "http" or is_local else "expected https: the requests contain API keys"
    return f"expected an address such as https://scheduler.example.com, found {url!r}"


def _text_problems(section: str, values: Any, kind: type[Any], form: re.Pattern[str], expected: str) -> list[str]:
    """List the problems of an object whose values are texts of one form. `kind`: the dataclass with its keys."""
    names = [field.name for field in fields(kind)]
    if not isinstance(values, Mapping):
        return [f"{section}: expected an object with {', '.join(names)}"]
    known = [f"{section}.{name}" for name in names]
    problems = [_unknown(f"{section}.{key}", known) for key in values if key not in names]
    wrong = [key for key in names if key in values and not form.fullmatch(str(values[key]))]
    return problems + [f"{section}.{key}: {expected}" for key in wrong]


def _limit_problems(values: Any) -> list[str]:
    names = [field.name for field in fields(VerifyLimits)]
    if not isinstance(values, Mapping):
        return [f"verify: expected an object with some of {', '.join(names)}"]
    problems = [_unknown(f"verify.{key}", [f"verify.{name}" for name in names]) for key in values if key not in names]
    for key in (name for name in names if name in values):
        try:
            _limit(key, values[key])
        except ValueError as error:
            problems.append(f"verify.{key}: {error}")
    return problems


def _limits(values: Mapping[str, Any]) -> VerifyLimits:
    return VerifyLimits(**{key: _limit(key, value) for key, value in values.items()})


def _limit(key: str, value: Any) -> float:
    if key in _SHARES:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise ValueError(f"expected a share from 0 to 1, found {value!r}")
        return float(value)
    return parse_duration(str(value))


def _unknown(key: str, known: list[str] | tuple[str, ...]) -> str:
    return f"{key} is unknown; known: {', '.join(known)}"
