"""Builds what reads the calendars of rotas for commands that only read."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

from config.check_rules import build_guard
from config.identity import AppIdentity
from config.outbound import build_outbound
from config.secrets import build_secrets
from config.settings.model import Settings
from jobs.ports import Clock
from jobs.redaction import Redactor
from scheduler.alerting.delivery.channel_resources import GuardedChannelResources
from scheduler.alerting.rotas import RotaReader, open_calendar_judges


def build_rota_reader(settings: Settings, identity: AppIdentity, clock: Clock, stack: AsyncExitStack) -> RotaReader:
    """Return the reader; `stack` closes it."""
    secrets = build_secrets(settings, identity, Redactor(), clock)
    stack.push_async_callback(secrets.aclose)
    resources = GuardedChannelResources(secrets, identity, build_guard(settings, os.environ), build_outbound(settings))
    stack.push_async_callback(resources.close)
    judges = open_calendar_judges()
    stack.push_async_callback(judges.aclose)
    reader = RotaReader(resources, clock, judges)
    stack.push_async_callback(reader.aclose)
    return reader
