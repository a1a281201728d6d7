"""When runs happen, who runs them, what is remembered, how people steer. Imports nothing here: hosts start fast."""
