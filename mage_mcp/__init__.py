"""MCP server and typed async client for Mage, the data pipeline orchestrator."""

__version__ = "0.1.0"
