"""The limit of runs in-flight in a process, with shares for jobs and hosts, and sleeps that the end interrupts."""
