"""The names of the queues, apart from everything else so that function_app can import them at no cost."""

RUN_QUEUE = "scheduler-runs"
POISON_QUEUE = f"{RUN_QUEUE}-poison"
"""The platform's name for it: where a message goes after maxDequeueCount (host.json) deliveries."""
