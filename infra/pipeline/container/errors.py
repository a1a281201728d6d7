"""Errors of the image's commands, with their exit codes."""


class StepFailed(Exception):
    """A tool failed, or what it made is not as it must be: exit code 1."""


class InvalidUse(Exception):
    """An option, a file or the machine does not allow the command: exit code 2."""
