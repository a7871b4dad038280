"""Runs of pipelines: one noun, by what is done with them."""

from mage_mcp.client.runs.changing import RunChanger
from mage_mcp.client.runs.starting import RunStarter


class Runs(RunStarter, RunChanger):
    """List, wait for, explain, start, retry and cancel runs."""
