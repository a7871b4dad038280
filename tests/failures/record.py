"""`python -m tests.failures.record KIND...`: what a real Mage answers about these kinds of failure, as recordings."""

import argparse
import json
import re
from typing import Any

from tests.failures.kinds import KINDS
from tests.failures.recordings import FOLDER
from tests.lab.environment import MAGE_VERSION
from tests.lab.failing import FailedRuns, all_failed

_STACKS = ("errors", "error_stack")
_FRAMES_KEPT = 2
_RECORD = re.compile(r"(?P<stamp>\S+ )(?P<json>\{.*\})")


def main() -> None:
    """Run all kinds, record those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.failures.record", description=__doc__)
    parser.add_argument("kinds", nargs="+", choices=sorted(KINDS), metavar="KIND")
    names = parser.parse_args().kinds
    with all_failed() as failed:
        for name in names:
            text = json.dumps(_recording(failed, name), indent=1) + "\n"
            (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def _recording(failed: FailedRuns, name: str) -> dict[str, Any]:
    run = failed.runs[name]
    path = f"/api/pipelines/{KINDS[name].pipeline.uuid}/logs"
    detail = failed.wire.run(run)
    block_logs = {}
    for block_run in detail["block_runs"]:
        (logs,) = failed.wire.get(path, **{"block_run_id[]": block_run["id"]})["logs"]
        block_logs |= {str(block_run["id"]): file for file in logs["block_run_logs"] if file["content"]}
    (logs,) = failed.wire.get(path, **{"pipeline_run_id[]": run})["logs"]
    recording = {"detail": detail, "block_logs": block_logs, "logs": logs["pipeline_run_logs"]}
    return {"mage": MAGE_VERSION, **_without_places(_cut(recording), failed)}


def _cut(value: Any) -> Any:
    """Without most frames of Mage's own stack, and without where its log files are."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key != "path"}
        return {key: item[:_FRAMES_KEPT] if key in _STACKS else _cut(item) for key, item in kept.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    if isinstance(value, str):
        return "\n".join(_cut_line(line) for line in value.split("\n"))
    return value


def _cut_line(line: str) -> str:
    found = _RECORD.fullmatch(line)
    return found["stamp"] + json.dumps(_cut(json.loads(found["json"]))) if found else line


def _without_places(value: dict[str, Any], failed: FailedRuns) -> dict[str, Any]:
    """The server's folders under names that are the same on every machine."""
    text = json.dumps(value).replace(str(failed.mage.project_dir.parent), "/srv/mage")
    text = re.sub(r"/[^\s\"'(]*?/(?=lib/python3\.\d+/site-packages/|bin/mage\\)", "/opt/mage/", text)
    text = re.sub(r"/(?!opt/mage)[^\s\"'(]*?/(?=lib/python3\.\d+/(?!site-packages))", "/opt/python/", text)
    cut: dict[str, Any] = json.loads(text)
    return cut


if __name__ == "__main__":
    main()
