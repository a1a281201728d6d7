"""Every error that ends a script with a message, and its exit code."""

from __future__ import annotations


class DeliveryError(Exception):
    """The operation failed: exit code 1. The message states what failed, where, and what to do."""

    exit_code = 1


class UnusableInput(DeliveryError):
    """An argument, a file or a variable is unusable, and nothing was changed: exit code 2."""

    exit_code = 2
