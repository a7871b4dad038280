"""One call of each tool that changes something, as it could be meant, on the simulated Cloud's `prod`."""

from typing import Any

from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.pro import Pro
from mage_mcp.tools import ALL

CHANGES = {tool.name for tools in ALL.values() for tool in tools.tools(read_only=False)} - {
    tool.name for tools in ALL.values() for tool in tools.tools(read_only=True)
}
_SHA = "4f1c2a9be07d3358a6ce1d20f9b8e7c6d5a40312"


def calls(cloud: CloudWorld) -> dict[str, dict[str, Any]]:
    """The arguments by tool: each call would change something, and finds what it needs, but for two backfills."""
    world = cloud.clusters["prod"].world
    world.pro = Pro()
    running = next(run.id for run in world.runs.values() if run.status(world.now) == "running")
    failed = next(run.id for run in world.runs.values() if run.status(world.now) == "failed")
    trigger = next(trigger.id for trigger in world.triggers.values() if trigger.status == "active")
    sales = {"pipeline": "sales_daily"}
    block = world.pipelines["sales_daily"].blocks[-1].uuid
    return {
        "trigger_pipeline": sales,
        "retry_run": {"run": failed},
        "cancel_runs": {"runs": [running]},
        "delete_runs": {"runs": [failed]},
        "create_trigger": {**sales, "name": "new", "interval": "@daily"},
        "update_triggers": {"triggers": [trigger], "status": "inactive"},
        "delete_trigger": {"trigger": trigger},
        "create_backfill": {**sales, "start": "2026-03-01", "end": "2026-03-02"},
        "cancel_backfill": {"backfill": 1},
        "delete_backfill": {"backfill": 2},
        "create_pipeline": {"name": "new"},
        "update_pipeline": {**sales, "description": "new"},
        "delete_pipeline": {"pipeline": "paused_reports"},
        "create_block": {**sales, "name": "new", "type": "transformer"},
        "update_block": {**sales, "block": block, "upstream_blocks": []},
        "delete_block": {**sales, "block": block},
        "update_variables": {**sales, "set": {"new": 1}},
        "write_file": {"path": "utils/new.py", "content": "x = 1\n"},
        "create_workspace": {"name": "new"},
        "update_workspace": {"workspace": "sandbox", "action": "resume"},
        "delete_workspace": {"workspace": "sandbox"},
        "deploy_commit": {
            "setting": "production",
            "commit": _SHA,
            "branch": "main",
            "message": "x",
            "environment": "staging",
            "target_branch": "main",
        },
        "start_cluster": {"replicas": 2},
        "stop_cluster": {},
        "restart_cluster": {},
        "update_cluster_env_vars": {"set": {"NEW": "1"}},
        "update_cluster_config": {"patch": {"labels": {"team": "data"}}},
    }
