"""Triggers that a pipeline's triggers.yaml holds as well: Mage rewrites that file whenever one of them changes."""

import json
from typing import Any

from mage_mcp.demo.project import Pipeline
from mage_mcp.demo.times import stamp
from mage_mcp.demo.world import TriggerRow, World

Json = dict[str, Any]
_ONLY_IN_THE_FILE = ("description", "last_enabled_at", "token")


def triggers_in(world: World, pipeline: str) -> list[Json]:
    """What stands in the file; here it is JSON, which is YAML."""
    file = world.files.get(_path(pipeline))
    triggers: list[Json] = (json.loads(file.content).get("triggers") or []) if file else []
    return triggers


def listed(trigger: Json) -> Json:
    """An entry as Mage lists it: without the token."""
    return {name: value for name, value in trigger.items() if name not in _ONLY_IN_THE_FILE}


def keep(world: World, row: TriggerRow, *, former_name: str = "", add: bool = False) -> None:
    """Write a trigger into the file, in place of the entry of its name; only where there is one, unless `add`."""
    entries = {entry["name"]: entry for entry in triggers_in(world, row.pipeline_uuid)}
    name = former_name or row.name
    if name in entries or add:
        entries[name] = _entry(row)
        _write(world, row.pipeline_uuid, list(entries.values()))


def remove(world: World, row: TriggerRow) -> None:
    """Take the entry of its name out of the file."""
    entries = triggers_in(world, row.pipeline_uuid)
    kept = [entry for entry in entries if entry["name"] != row.name]
    if len(kept) < len(entries):
        _write(world, row.pipeline_uuid, kept)


def keeps_all(pipeline: Pipeline | None) -> bool:
    """Whether the pipeline is set to have every trigger in its file."""
    settings = (pipeline.config if pipeline else {}).get("settings") or {}
    return bool((settings.get("triggers") or {}).get("save_in_code_automatically"))


def _entry(row: TriggerRow) -> Json:
    return {
        "description": row.description,
        "envs": [],
        "last_enabled_at": stamp(row.last_enabled_at),
        "name": row.name,
        "pipeline_uuid": row.pipeline_uuid,
        "schedule_interval": row.schedule_interval,
        "schedule_type": row.schedule_type,
        "settings": row.settings,
        "sla": row.sla,
        "start_time": stamp(row.start_time),
        "status": row.status,
        "token": row.token,
        "variables": row.variables,
    }


def _write(world: World, pipeline: str, entries: list[Json]) -> None:
    world.write_file(_path(pipeline), json.dumps({"triggers": entries}, indent=1) + "\n")


def _path(pipeline: str) -> str:
    return f"pipelines/{pipeline}/triggers.yaml"
