"""A Mage that answers from the recordings, for all kinds at once."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from tests.failures.kinds import KINDS, Kind
from tests.failures.recordings import recorded

RUNS: Mapping[str, int] = {name: number for number, name in enumerate(KINDS, 1001)}
"""The id of each run and of its trigger. The recorded ones may be the same, being of several Mages."""
PROJECT = "demo_project"

_NAMES = {run: name for name, run in RUNS.items()}
_FILES = {path: text.replace("{project}", PROJECT) for kind in KINDS.values() for path, text in kind.every_file.items()}


class Recordings(httpx.AsyncBaseTransport):
    """Answers what `get_run`, `get_run_logs` and `list_runs` ask for; remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        assert request.method == "GET"
        body = _answer(request.url.path.removeprefix("/api/"), dict(request.url.params))
        return httpx.Response(200, content=json.dumps(body).encode(), request=request)


def _answer(path: str, query: Mapping[str, str]) -> dict[str, Any]:
    match path.split("/"):
        case ["pipeline_runs"]:
            return _runs(query)
        case ["pipeline_runs", run]:
            return {"pipeline_run": _detail(_NAMES[int(run)])}
        case ["pipelines", pipeline]:
            return {"pipeline": _pipeline(KINDS[pipeline.removeprefix("failure_")])}
        case ["pipelines", pipeline, "logs"]:
            return {"logs": [_logs(recorded(pipeline.removeprefix("failure_")), query)]}
        case ["file_contents", *parts]:
            return {"file_content": _file("/".join(parts))}
        case ["pipeline_schedules", trigger]:
            return {"pipeline_schedule": _trigger(KINDS[_NAMES[int(trigger)]], int(trigger))}
        case ["status"]:
            return {"statuses": [{"scheduler_status": "running"}]}
    raise AssertionError(f"nothing is recorded of {path}")


def _detail(name: str) -> dict[str, Any]:
    return {**recorded(name)["detail"], "id": RUNS[name], "pipeline_schedule_id": RUNS[name]}


def _runs(query: Mapping[str, str]) -> dict[str, Any]:
    """Newest first. Only here Mage tells the trigger's name and where the project is."""
    found = [
        {**detail, "pipeline_schedule_name": f"api_failure_{name}", "repo_path": f"/srv/mage/{PROJECT}"}
        for name in sorted(KINDS, key=RUNS.__getitem__, reverse=True)
        for detail in [_detail(name)]
        if query.get("pipeline_uuid") in (None, f"failure_{name}") and query.get("status") in (None, detail["status"])
    ]
    first, most = int(query.get("_offset", 0)), int(query.get("_limit", len(found)))
    return {"pipeline_runs": found[first : first + most], "metadata": {"count": len(found)}}


def _logs(recording: Mapping[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    if "block_run_id[]" in query:
        files = [recording["block_logs"].get(run) for run in query["block_run_id[]"].split(",")]
        return {"block_run_logs": [file for file in files if file], "pipeline_run_logs": []}
    return {"block_run_logs": list(recording["block_logs"].values()), "pipeline_run_logs": recording["logs"]}


def _pipeline(kind: Kind) -> dict[str, Any]:
    def blocks(*these: Any) -> list[dict[str, Any]]:
        return [
            {
                "uuid": block.uuid,
                "type": block.type,
                "language": block.language,
                "upstream_blocks": list(block.upstream),
                "configuration": dict(block.configuration),
            }
            for block in these
        ]

    pipeline = kind.pipeline
    return {
        "uuid": pipeline.uuid,
        "type": pipeline.type,
        "blocks": blocks(*pipeline.blocks),
        "callbacks": blocks(*pipeline.callbacks),
        "conditionals": blocks(*pipeline.conditionals),
    }


def _file(path: str) -> dict[str, Any]:
    content = _FILES.get(path)
    return {"path": path, "content": content, "size": len(content) if content is not None else None}


def _trigger(kind: Kind, schedule: int) -> dict[str, Any]:
    (trigger,) = kind.pipeline.triggers
    return {"id": schedule, "name": trigger.name, "status": "active", "settings": dict(trigger.settings)}
