"""Converts the authentication of a flat job. Called by conversion.py."""

from __future__ import annotations

from jobs.flat import value_reading
from jobs.flat.form import FlatForm
from jobs.flat.secret_names import default_secret_name, secret_variable
from jobs.flat.value_reading import AUTH_TYPES
from jobs.problems import Finding, KeyPath
from jobs.problems.suggestions import join_names


def convert_auth(form: FlatForm) -> None:
    kind = form.read("AuthType", lambda value: value_reading.read_choice(value, AUTH_TYPES))
    if kind == "basic":
        _convert_basic(form)
    elif kind == "bearer":
        _convert_secret(form, ("check", "auth", "token"), "TokenSecretName", "token")
    elif kind == "api_key":
        _convert_secret(form, ("check", "auth", "key"), "ApiKeySecretName", "api-key")
        form.copy(("check", "auth", "name"), "ApiKeyHeader", value_reading.read_text)
    elif kind == "managed_identity":
        _convert_scope(form)
    elif kind is None and "AuthType" not in form.values:
        _report_missing_auth_type(form)
    if kind not in (None, "none"):
        form.set_value(("check", "auth", "kind"), kind, "AuthType")


def _convert_basic(form: FlatForm) -> None:
    path = ("check", "auth", "username")
    if "UsernameSecretName" in form.values:
        form.copy(path, "UsernameSecretName", lambda value: {"secret": value_reading.read_text(value)})
    elif "Username" in form.values:
        form.copy(path, "Username", value_reading.read_text)
    else:
        _use_default_secret(form, path, "UsernameSecretName", "username", " for the user name")
    _convert_secret(form, ("check", "auth", "password"), "PasswordSecretName", "password")


def _convert_secret(form: FlatForm, path: KeyPath, name: str, purpose: str) -> None:
    """Set the reference of the secret: by its own key, by the general SecretName, or named after the job."""
    source = name if name in form.values else "SecretName"
    if source in form.values:
        form.copy(path, source, lambda value: {"secret": value_reading.read_text(value)})
    else:
        _use_default_secret(form, path, name, purpose)


def _use_default_secret(form: FlatForm, path: KeyPath, key: str, purpose: str, what: str = "") -> None:
    """Name the secret after the job, and warn about it."""
    name = default_secret_name(str(form.definition["name"]), purpose)
    form.set_value(path, {"secret": name}, key, "AuthType")
    kind = value_reading.read_text(form.values["AuthType"]).lower()
    message = (
        f"{kind} names no secret{what}, so the job uses the secret {name}: "
        f"the variable {secret_variable(name)}, else the file {name} in secrets_folder, "
        "else that secret in the Key Vault"
    )
    form.warnings.append(Finding((form.spelling("AuthType"),), message, f"write {key}: {name} to confirm this name"))


def _convert_scope(form: FlatForm) -> None:
    path = ("check", "auth", "scope")
    if "Scope" in form.values:
        form.copy(path, "Scope", value_reading.read_text)
    elif "Resource" in form.values:
        form.copy(path, "Resource", value_reading.resource_scope)
    else:
        _use_endpoint_as_scope(form, path)


def _use_endpoint_as_scope(form: FlatForm, path: KeyPath) -> None:
    """Use the origin of the endpoint as the scope, and warn about it; without an origin the scope is missing."""
    endpoint = form.values.get("Endpoint")
    origin = value_reading.url_origin(endpoint) if isinstance(endpoint, str) else None
    if origin is None:
        form.add_finding("Scope", "is missing", "AuthType managedidentity needs Scope, such as api://checkout/.default")
        return
    scope = value_reading.resource_scope(origin)
    form.set_value(path, scope, "Scope", "AuthType")
    message = f"managedidentity names no scope, so the token is for the endpoint itself: {scope}"
    form.warnings.append(Finding((form.spelling("AuthType"),), message, f"write Scope: {scope} to confirm it"))


def _report_missing_auth_type(form: FlatForm) -> None:
    given = [name for name in form.values if name.endswith("SecretName") or name in ("Scope", "Resource")]
    if given:
        form.add_finding(
            "AuthType", f"is missing, and {form.spelling(given[0])} is given", f"one of {join_names(AUTH_TYPES)}"
        )
