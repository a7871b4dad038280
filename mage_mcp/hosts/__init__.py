"""The applications that launch mage-mcp: where each keeps its configuration, and how an entry of ours gets into it."""
