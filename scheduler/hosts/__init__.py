"""The two hosts of the program: embedded, in one process, and Azure Functions, in many."""
