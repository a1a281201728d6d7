"""The project's tests; real parts that they share are in tests.parts."""
