"""The page of metrics that Prometheus scrapes."""

from __future__ import annotations

from fastapi import Request, Response

from scheduler.api.negotiation import accepts_gzip, compress, find_best
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.metrics.text import ExpositionFormat

router = ApiRouter("metrics", by_tag=True)

_OPEN_METRICS = ("application/openmetrics-text;version=1.0.0",)
_CLASSIC = ("text/plain;version=0.0.4", "text/*", "*/*")
_RESPONSES = {
    200: {
        "description": "The samples, in the format that the header Accept prefers",
        "content": {each.value: {"schema": {"type": "string"}} for each in ExpositionFormat},
    }
}


@router.metrics("/api/metrics", response_class=Response, responses=_RESPONSES)
async def get_metrics(services: ServicesDep, request: Request) -> Response:
    """Return the metrics of all jobs and of the scheduler for Prometheus: OpenMetrics 1.0, or the classic text format.

    Every instance returns the same values, because they are read from the store. A caller that is limited to tags gets
    the series of its jobs only.
    """
    text_format = _choose_format(request.headers.get("accept", ""))
    is_compressed = accepts_gzip(request.headers.get("accept-encoding", ""))
    page = await services.metrics.write(
        services.catalog, text_format, is_limited=services.is_limited, encode=compress if is_compressed else None
    )
    headers = {"Content-Type": text_format.value, "Vary": "Accept, Accept-Encoding"}
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
    return Response(page, headers=headers)


def _choose_format(accept: str) -> ExpositionFormat:
    """Return OpenMetrics where the client prefers it, or accepts it as much."""
    weight = find_best(accept, _OPEN_METRICS)
    return (
        ExpositionFormat.OPEN_METRICS if weight and weight >= find_best(accept, _CLASSIC) else ExpositionFormat.CLASSIC
    )
