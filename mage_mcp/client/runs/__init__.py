"""Runs of pipelines: one noun, by what is done with them."""

from mage_mcp.client.runs.changing import RunChanger
from mage_mcp.client.runs.deleting import RunDeleter
from mage_mcp.client.runs.late import LateRunReader
from mage_mcp.client.runs.starting import RunStarter
from mage_mcp.client.runs.stuck import RunWatcher


class Runs(RunStarter, RunChanger, RunDeleter, RunWatcher, LateRunReader):
    """List, wait for, explain, start, retry, cancel, delete and watch over runs."""
