"""The program inside the Functions host. function_app imports `host` and hands each trigger to it.

Importing this costs next to nothing: whatever is heavy is imported with the first trigger.
"""

from scheduler.hosts.functions.triggers import FunctionsHost

host = FunctionsHost()
