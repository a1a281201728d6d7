"""Stand-ins for the worker's protobuf messages, for functions_worker: as strict about types as protobuf is.

Only what the handlers of azure-functions-runtime read and make. Names and numbers are those of FunctionRpc.proto: an
unknown field raises ValueError, a value of the wrong type TypeError, an unset field reads as its empty value, and of a
oneof at most one field is set. The module as a whole is what the worker calls `protos`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

Kind = Callable[[str, Any], Any]
"""Checks a field's value and returns it; given `_UNSET`, returns the empty value."""

_UNSET: Any = object()


def _scalar(empty: Any, *types: type) -> Kind:
    def check(field: str, value: Any) -> Any:
        if value is _UNSET:
            return empty
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise TypeError(f"{field} must be {types[0].__name__}, not {type(value).__name__}: {value!r}")
        return value

    return check


TEXT = _scalar("", str)
BYTES = _scalar(b"", bytes)
INT = _scalar(0, int)
DOUBLE = _scalar(0.0, float, int)
BOOL = _scalar(False, bool)


def _enum(**numbers: int) -> Kind:
    def check(field: str, value: Any) -> Any:
        if value is _UNSET:
            return 0
        number = numbers.get(value, value) if isinstance(value, str) else INT(field, value)
        if number not in numbers.values():
            raise ValueError(f"{field} is not one of {sorted(numbers)}: {value!r}")
        return number

    return check


def _list(kind: Kind) -> Kind:
    return lambda field, values: [] if values is _UNSET else [kind(field, value) for value in values]


def _map(kind: Kind) -> Kind:
    def check(field: str, values: Any) -> Any:
        if values is _UNSET:
            return {}
        return {TEXT(f"{field}'s key", key): kind(f"{field}[{key!r}]", value) for key, value in values.items()}

    return check


def _message(name: str) -> Kind:
    """By name, because TypedData and RpcHttp hold each other."""

    def check(field: str, value: Any) -> Any:
        cls = globals()[name]
        return cls() if value is _UNSET else _scalar(None, cls)(field, value)

    return check


def _duration(field: str, value: Any) -> Any:
    from datetime import timedelta

    return timedelta() if value is _UNSET else _scalar(None, timedelta)(field, value)


class Message:
    """`Name(field=value, ...)`; None leaves a field unset, as in protobuf, whose names its methods have."""

    FIELDS: ClassVar[dict[str, Kind]] = {}
    ONEOF: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __init__(self, **values: Any) -> None:
        self._set: dict[str, Any] = {}
        for field, value in values.items():
            if field not in self.FIELDS:
                raise ValueError(f'Protocol message {type(self).__name__} has no "{field}" field.')
            if value is not None:
                self._set[field] = self.FIELDS[field](f"{type(self).__name__}.{field}", value)
        for fields in self.ONEOF.values():
            for late in [field for field in fields if field in self._set][:-1]:
                del self._set[late]

    def __getattr__(self, field: str) -> Any:
        if field.startswith("_") or field not in self.FIELDS:
            raise AttributeError(field)
        return self._set.get(field) if field in self._set else self.FIELDS[field](field, _UNSET)

    def WhichOneof(self, group: str) -> str | None:
        return next((field for field in self.ONEOF[group] if field in self._set), None)

    def HasField(self, field: str) -> bool:
        return field in self._set

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._set.items())})"


class RpcException(Message):
    FIELDS = {"source": TEXT, "stack_trace": TEXT, "message": TEXT, "is_user_exception": BOOL, "type": TEXT}


class StatusResult(Message):
    Failure, Success, Cancelled = 0, 1, 2
    FIELDS = {
        "status": _enum(Failure=0, Success=1, Cancelled=2),
        "result": TEXT,
        "exception": _message("RpcException"),
    }


class NullableString(Message):
    FIELDS = {"value": TEXT}


class NullableBool(Message):
    FIELDS = {"value": BOOL}


class NullableDouble(Message):
    FIELDS = {"value": DOUBLE}


class Timestamp(Message):
    FIELDS = {"seconds": INT, "nanos": INT}


class NullableTimestamp(Message):
    FIELDS = {"value": _message("Timestamp")}


class RpcHttpCookie(Message):
    SameSite = SimpleNamespace(**{"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})
    FIELDS = {
        "name": TEXT,
        "value": TEXT,
        "domain": _message("NullableString"),
        "path": _message("NullableString"),
        "expires": _message("NullableTimestamp"),
        "secure": _message("NullableBool"),
        "http_only": _message("NullableBool"),
        "same_site": INT,
        "max_age": _message("NullableDouble"),
    }


class RpcHttp(Message):
    FIELDS = {
        "method": TEXT,
        "url": TEXT,
        "headers": _map(TEXT),
        "body": _message("TypedData"),
        "params": _map(TEXT),
        "status_code": TEXT,
        "query": _map(TEXT),
        "enable_content_negotiation": BOOL,
        "cookies": _list(_message("RpcHttpCookie")),
    }


class TypedData(Message):
    FIELDS = {
        "string": TEXT,
        "json": TEXT,
        "bytes": BYTES,
        "stream": BYTES,
        "http": _message("RpcHttp"),
        "int": INT,
        "double": DOUBLE,
    }
    ONEOF = {"data": tuple(FIELDS)}


class ParameterBinding(Message):
    FIELDS = {"name": TEXT, "data": _message("TypedData")}
    ONEOF = {"rpc_data": ("data",)}


class BindingInfo(Message):
    out, inout, undefined = 1, 2, 0
    FIELDS = {
        "type": TEXT,
        "direction": _enum(**{"in": 0, "out": 1, "inout": 2}),
        "data_type": _enum(undefined=0, string=1, binary=2, stream=3),
        "properties": _map(TEXT),
    }


class RpcRetryOptions(Message):
    FIELDS = {
        "max_retry_count": INT,
        "delay_interval": _duration,
        "minimum_interval": _duration,
        "maximum_interval": _duration,
        "retry_strategy": _enum(exponential_backoff=0, fixed_delay=1),
    }


class RpcFunctionMetadata(Message):
    FIELDS = {
        "name": TEXT,
        "directory": TEXT,
        "script_file": TEXT,
        "entry_point": TEXT,
        "bindings": _map(_message("BindingInfo")),
        "is_proxy": BOOL,
        "status": _message("StatusResult"),
        "language": TEXT,
        "raw_bindings": _list(TEXT),
        "function_id": TEXT,
        "managed_dependency_enabled": BOOL,
        "retry_options": _message("RpcRetryOptions"),
        "properties": _map(TEXT),
    }


class FunctionMetadataResponse(Message):
    FIELDS = {
        "function_metadata_results": _list(_message("RpcFunctionMetadata")),
        "result": _message("StatusResult"),
        "use_default_metadata_indexing": BOOL,
    }


class WorkerMetadata(Message):
    FIELDS = {
        "runtime_name": TEXT,
        "runtime_version": TEXT,
        "worker_version": TEXT,
        "worker_bitness": TEXT,
        "custom_properties": _map(TEXT),
    }


class WorkerInitRequest(Message):
    FIELDS = {
        "host_version": TEXT,
        "capabilities": _map(TEXT),
        "worker_directory": TEXT,
        "function_app_directory": TEXT,
    }


class WorkerInitResponse(Message):
    FIELDS = {
        "capabilities": _map(TEXT),
        "result": _message("StatusResult"),
        "worker_metadata": _message("WorkerMetadata"),
    }


class FunctionLoadRequest(Message):
    FIELDS = {"function_id": TEXT, "metadata": _message("RpcFunctionMetadata")}


class FunctionLoadResponse(Message):
    FIELDS = {"function_id": TEXT, "result": _message("StatusResult"), "is_dependency_downloaded": BOOL}


class RpcTraceContext(Message):
    FIELDS = {"trace_parent": TEXT, "trace_state": TEXT, "attributes": _map(TEXT)}


class RetryContext(Message):
    FIELDS = {"retry_count": INT, "max_retry_count": INT, "exception": _message("RpcException")}


class InvocationRequest(Message):
    FIELDS = {
        "invocation_id": TEXT,
        "function_id": TEXT,
        "input_data": _list(_message("ParameterBinding")),
        "trigger_metadata": _map(_message("TypedData")),
        "trace_context": _message("RpcTraceContext"),
        "retry_context": _message("RetryContext"),
    }


class InvocationResponse(Message):
    FIELDS = {
        "invocation_id": TEXT,
        "output_data": _list(_message("ParameterBinding")),
        "result": _message("StatusResult"),
        "return_value": _message("TypedData"),
    }


class StreamingMessage(Message):
    """What travels between host and worker: one request."""

    FIELDS = {
        "request_id": TEXT,
        "worker_init_request": _message("WorkerInitRequest"),
        "function_load_request": _message("FunctionLoadRequest"),
        "invocation_request": _message("InvocationRequest"),
        "functions_metadata_request": BOOL,
    }
