"""Traces, metrics and logs to any backend that accepts OTLP over HTTP."""
