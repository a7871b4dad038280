"""Plain calls of Mage's API, to seed it and to check facts about it. On purpose not the product's client."""

import base64
import json
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import httpx

# The same on every install of Mage: it stands in its source.
API_KEY = "zkWlN0PkIKSN0C11CfUHUj84OT5XOJ6tDZ6bDRO2"
ENDED = ("completed", "failed", "cancelled")


class Refused(Exception):
    """Mage answered with an error, whatever the HTTP status."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("exception") or error.get("message"))[-500:])
        self.error = error


class Wire:
    """Calls to one Mage."""

    def __init__(self, url: str, *, timeout_s: float = 60) -> None:
        self._http = httpx.Client(base_url=url, headers={"X-API-KEY": API_KEY}, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def login(self, email: str, password: str) -> None:
        """Send a session's token from now on."""
        token = self.post("/api/sessions", {"session": {"email": email, "password": password}})["session"]["token"]
        # The session's token is a JWT that wraps the one that the header takes.
        payload = token.split(".")[1]
        raw = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["token"]
        self._http.headers["OAUTH-TOKEN"] = raw

    def get(self, path: str, **query: Any) -> Any:
        """The answer to a GET."""
        return self._call("GET", path, params=query or None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a POST."""
        return self._call("POST", path, json=body)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a PUT."""
        return self._call("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        """The answer to a DELETE."""
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self._http.request(method, path, **arguments).json()
        if isinstance(answer, dict) and answer.get("error"):
            raise Refused(answer["error"])
        return answer

    def trigger(self, schedule_id: int, **fields: Any) -> dict[str, Any]:
        """Start a run of a trigger."""
        path = f"/api/pipeline_schedules/{schedule_id}/pipeline_runs"
        run: dict[str, Any] = self.post(path, {"pipeline_run": fields})["pipeline_run"]
        return run

    def run(self, run_id: int) -> dict[str, Any]:
        """A run with its block runs."""
        run: dict[str, Any] = self.get(f"/api/pipeline_runs/{run_id}")["pipeline_run"]
        return run

    def blocks(self, run_id: int) -> dict[str, str]:
        """The statuses of a run's blocks. None before the run has started."""
        return {block["block_uuid"]: block["status"] for block in self.run(run_id)["block_runs"]}

    def wait(self, run_ids: Iterable[int], *, until: tuple[str, ...] = ENDED, timeout_s: float = 90) -> dict[int, str]:
        """Wait until each run has one of the statuses; what they came to."""
        waiting, reached, give_up = set(run_ids), dict[int, str](), time.monotonic() + timeout_s
        while True:
            for run_id in sorted(waiting):
                path = f"/api/pipeline_runs/{run_id}"
                status = self.get(path, _format="with_basic_details")["pipeline_run"]["status"]
                if status in until:
                    reached[run_id] = status
            waiting -= set(reached)
            if not waiting:
                return reached
            if time.monotonic() > give_up:
                blocks = {run_id: self.blocks(run_id) for run_id in waiting}
                raise TimeoutError(f"after {timeout_s} s runs have not come to {' or '.join(until)}: {blocks}")
            time.sleep(0.1)

    def wait_for_block(self, run_id: int, block: str, status: str, timeout_s: float = 60) -> None:
        """Wait until one block of a run has a status."""
        give_up = time.monotonic() + timeout_s
        while self.blocks(run_id).get(block) != status:
            if time.monotonic() > give_up:
                raise TimeoutError(f"after {timeout_s} s {block} is not {status}: {self.blocks(run_id)}")
            time.sleep(0.1)
