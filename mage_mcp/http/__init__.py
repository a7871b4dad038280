"""The server over Streamable HTTP: who is let in, under which names, and how it ends. Not imported by stdio."""
