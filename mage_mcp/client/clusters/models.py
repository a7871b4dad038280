"""What `mage.clusters` answers."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mage_mcp.client.models import Answer, Change, Message, Name, Names, Page

Kind = Literal["cloud", "self-hosted"]


@dataclass(frozen=True)
class Planned:
    """What a call would do: `acts` stay the same while the world does. None: nothing would be lost."""

    question: str = ""
    acts: tuple[str, ...] = ()


class ClusterRow(Answer):
    cluster: str = Field(description="Name in the configuration.")
    kind: Kind
    answers: bool = Field(description="Whether its own API answers.")
    status: Message = Field(default="", description="As Mage Cloud tells it.")
    cloud_name: Message = Field(default="", description="Its name in Mage Cloud.")
    cloud_id: Name = ""
    read_only: bool = False
    protected: bool = Field(default=False, description="A person is asked before any change.")
    note: str = Field(default="", description="Why it does not answer, or what is missing.")


class ClusterPage(Page):
    items: list[ClusterRow]


class ClusterDetail(ClusterRow):
    replicas: int | None = None
    version: Message = Field(default="", description="Of Mage.")
    scheduler: Message = Field(default="", description="running, or no run makes progress.")
    runs_running: int | None = None
    runs_queued: int | None = None
    env_vars: Names = Field(default=[], description="Names only; values are never shown.")
    references: Names = Field(default=[], description="Those among them that refer to a secret.")


class PowerChange(Change):
    cloud_name: Message = ""
    cloud_id: Name = ""
    before: Message = Field(default="", description="Status before.")
    after: Message = Field(default="", description="Status read back.")
    replicas_before: int | None = None
    replicas: int | None = Field(default=None, description="Read back.")
    answers: bool | None = Field(default=None, description="After a start: whether the cluster's own API answers.")


class EnvVarsChange(Change):
    cloud_name: Message = ""
    cloud_id: Name = ""
    added: Names = []
    overwritten: Names = []
    removed: Names = []
    unchanged: Names = Field(default=[], description="Asked for, and so already.")
    others: Names = Field(default=[], description="Changed meanwhile by somebody else, or by Mage Cloud.")
    not_kept: Names = Field(default=[], description="Written, and not so when read back.")
    after: Message = Field(default="", description="Status read back.")


class ConfigChange(Change):
    cloud_name: Message = ""
    cloud_id: Name = ""
    diff: Names = Field(default=[], description="path: before → after; secrets masked.")
    others: Names = Field(default=[], description="Changed meanwhile by somebody else, or by Mage Cloud.")
    not_kept: Names = Field(default=[], description="Written, and not so when read back.")
    after: Message = Field(default="", description="Status read back.")
