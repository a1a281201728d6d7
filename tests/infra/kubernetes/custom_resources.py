"""The schema of ServiceMonitor, as far as it is used: of version 0.93 of the Prometheus operator, strict.

Source: monitoring.coreos.com_servicemonitors.yaml of prometheus-operator/prometheus-operator, commit 6adcebc5.
"""

from __future__ import annotations

from typing import Any

_DURATION = r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"
_TEXT = {"type": "string"}


def _strict(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


SERVICE_MONITOR = _strict(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "monitoring.coreos.com/v1"},
    kind={"const": "ServiceMonitor"},
    metadata={"type": "object", "required": ["name", "namespace"]},
    spec=_strict(
        ("endpoints", "selector"),
        selector=_strict(matchLabels={"type": "object", "additionalProperties": _TEXT}),
        endpoints={
            "type": "array",
            "minItems": 1,
            "items": _strict(
                port=_TEXT,
                path=_TEXT,
                interval={"type": "string", "pattern": _DURATION},
                scrapeTimeout={"type": "string", "pattern": _DURATION},
                authorization=_strict(type=_TEXT, credentials=_strict(("key",), name=_TEXT, key=_TEXT)),
            ),
        },
    ),
)
