"""Parts of the channel `email`: the message with its headers, and the session with the mail server."""
