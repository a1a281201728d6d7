"""The stand-ins are as strict as protobuf."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parts.worker_messages import (
    BindingInfo,
    Message,
    ParameterBinding,
    RpcHttp,
    RpcHttpCookie,
    StatusResult,
    TypedData,
)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (TypedData, {"string": b"x"}),
        (TypedData, {"int": 1.5}),
        (TypedData, {"int": True}),
        (RpcHttp, {"status_code": 200}),
        (RpcHttp, {"headers": {"a": 1}}),
        (RpcHttp, {"body": b"x"}),
        (RpcHttpCookie, {"secure": True}),
        (ParameterBinding, {"data": "x"}),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(message: type[Message], fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        message(**fields)


@pytest.mark.parametrize(
    ("message", "fields"),
    [(TypedData, {"text": "x"}), (BindingInfo, {"direction": 7}), (StatusResult, {"status": "OK"})],
)
def test_an_unknown_field_or_enum_value_is_refused(message: type[Message], fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no \"text\" field|is not one of"):
        message(**fields)


def test_an_unset_field_reads_as_its_empty_value() -> None:
    http = RpcHttp(method=None)
    assert (http.method, http.headers, http.body.WhichOneof("data"), http.HasField("method")) == ("", {}, None, False)


def test_of_a_oneof_the_set_field_is_known() -> None:
    assert TypedData(json="{}").WhichOneof("data") == "json"
