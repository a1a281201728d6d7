"""Tests of what surrounds the program: the task runner, requirements, container, pipeline and host configuration."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
