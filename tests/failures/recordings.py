"""The recordings as a diagnosis wants them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from mage_mcp.client.evidence import Evidence, which_evidence
from mage_mcp.client.log_lines import parse_log
from mage_mcp.client.records import BlockRecord, RunRecord
from tests.failures.kinds import KINDS, Kind

FOLDER = Path(__file__).parent / "recorded"
REPO = "/srv/mage/demo_project"


@cache
def recorded(name: str) -> dict[str, Any]:
    """The recording of a kind; not to be changed."""
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return data


def run_of(name: str) -> RunRecord:
    return RunRecord.model_validate(recorded(name)["detail"])


def all_evidence(name: str) -> Evidence:
    """Everything that was recorded of a kind, with its blocks as they stood then."""
    data = recorded(name)
    scheduler = next(file["content"] for file in data["logs"] if file["name"] == "scheduler.log")
    return Evidence(
        run=run_of(name),
        block_logs={int(run): parse_log(file["content"]) for run, file in data["block_logs"].items()},
        scheduler_log=parse_log(scheduler),
        blocks={block.uuid: block for block in _definitions(KINDS[name])},
        repo_path=REPO,
    )


def asked_evidence(name: str) -> Evidence:
    """Only what a diagnosis of this run asks for."""
    evidence = all_evidence(name)
    needed = which_evidence(evidence.run)
    wanted = (*needed.block_runs, *needed.if_cheap)
    return replace(
        evidence,
        block_logs={run: log for run, log in evidence.block_logs.items() if run in wanted},
        scheduler_log=evidence.scheduler_log if needed.scheduler_log else None,
    )


def _definitions(kind: Kind) -> Iterator[BlockRecord]:
    for block in kind.pipeline.every_block:
        source = block.source.replace("{project}", "demo_project")
        yield BlockRecord(uuid=block.uuid, type=block.type, language=block.language, content=source)
