"""The Functions host. function_app imports `host` and passes each trigger to it.

Importing this package is cheap: the first trigger imports everything else.
"""

from scheduler.hosts.functions.triggers import FunctionsHost

host = FunctionsHost()
