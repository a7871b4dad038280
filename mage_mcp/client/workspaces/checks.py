"""What may be sent as a workspace's name, and as a commit to deploy."""

import re
from dataclasses import dataclass
from typing import Any

from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_NEW = re.compile(r"[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?")
"""Kubernetes' names of things, with room for what Mage appends."""
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH = re.compile(r"(?!/|.*(?:\.\.|//|@\{|\.lock$))[^\x00-\x20\x7f~^:?*\[\\]{1,200}(?<![./])")
_LONGEST = 300


def workspace_name(text: str, *, new: bool = False) -> str:
    """The name, or MageInvalid: it becomes a part of a URL, and of Kubernetes' names where it is a new one."""
    if not (_NEW if new else _NAME).fullmatch(text):
        raise MageInvalid(
            f"{one_line(text, 60)!r} cannot be the name of a workspace; nothing was sent.",
            next_step="Lower-case letters, digits and dashes, as in 'team-analytics'.",
        )
    return text


@dataclass(frozen=True)
class Commit:
    """What is deployed, and where to. `message` is what people read on Mage's page."""

    sha: str
    branch: str
    message: str
    environment: str
    target_branch: str
    target_directory: str = ""

    def body(self) -> dict[str, Any]:
        """As Mage's page "Create Deployment" has it."""
        stage: dict[str, Any] = {"branch": {"name": self.target_branch}, "environment": self.environment}
        if self.target_directory:
            stage["target_directory"] = self.target_directory
        return {"source": {"head": {"name": self.branch}, "name": self.message, "version": self.sha}, "stage": stage}


def check_commit(setting: str, commit: Commit) -> None:
    """Raises MageInvalid for what Mage could not deploy."""
    workspace_name(setting)
    if not _SHA.fullmatch(commit.sha):
        raise MageInvalid(
            f"{one_line(commit.sha, 60)!r} is no whole commit SHA; nothing was deployed.",
            next_step="Give all 40 characters, as `git rev-parse HEAD` prints them.",
        )
    for name, text in (("branch", commit.branch), ("target_branch", commit.target_branch)):
        if not _BRANCH.fullmatch(text):
            raise MageInvalid(f"{name} is no name of a branch; nothing was deployed.", next_step="It is like 'main'.")
    for name, text in (("message", commit.message), ("environment", commit.environment)):
        if not text.strip() or len(text) > _LONGEST:
            raise MageInvalid(f"{name} is empty or too long; nothing was deployed.", next_step="Say it in a line.")
    if ".." in commit.target_directory.split("/"):
        raise MageInvalid("target_directory leads out of the project; nothing was deployed.")
