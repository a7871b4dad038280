"""What the server was told, frozen, each value with its source. `settings_load.py` puts it together."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

PUBLIC_API_KEY = "zkWlN0PkIKSN0C11CfUHUj84OT5XOJ6tDZ6bDRO2"
"""Mage's own key: fixed in its source and the same on every installation, so no secret."""
PUBLIC_CLOUD_API_KEY = "oMqz2m320NfVERFonfytPFVETfPTHyN5N7db9dLK"
"""The client key of Mage's own portal, printed in its documentation."""
CLOUD_URL = "https://cloud.mage.ai/api/v1"

DEFAULT_TOOLSETS = ("clusters", "pipelines", "runs", "triggers")
TOOLSETS = (*DEFAULT_TOOLSETS, "backfills", "authoring", "variables", "files", "workspaces")
"""Every toolset there is, in the order in which they are listed."""
DEFAULT_CLUSTER = "default"
"""Name of the cluster that the environment and the flags describe."""

Confirm = Literal["ask", "person", "never"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Cluster(BaseModel):
    """One Mage cluster: its own API (`url`), its place in Mage Cloud (`team_id`, `cluster_id`), or both.

    `protected` asks a person before anything is changed, whatever MAGE_CONFIRM says.
    """

    model_config = ConfigDict(frozen=True)

    name: str = DEFAULT_CLUSTER
    url: str = ""
    email: str = ""
    password: SecretStr | None = None
    token: SecretStr | None = None
    api_key: SecretStr = SecretStr(PUBLIC_API_KEY)
    team_id: str = ""
    cluster_id: str = ""
    cloud_url: str = CLOUD_URL
    cloud_email: str = ""
    cloud_password: SecretStr | None = None
    cloud_api_key: SecretStr = SecretStr(PUBLIC_CLOUD_API_KEY)
    read_only: bool = False
    protected: bool = False
    ca_bundle: str = ""
    headers: Mapping[str, SecretStr] = Field(default={}, repr=False)
    file: str = Field(default="", repr=False, description="The file that describes it; empty for the user's own.")

    @property
    def label(self) -> str:
        """How sentences name it: by the name a person gave it, else by its host."""
        if self.name != DEFAULT_CLUSTER:
            return f"cluster {self.name!r}"
        try:
            host = urlsplit(self.url).netloc.rpartition("@")[2]
        except ValueError:  # the first request says what is wrong with it
            host = ""
        return f"Mage at {host}" if host else "Mage"

    @property
    def in_cloud(self) -> bool:
        return bool(self.team_id and self.cluster_id)


def setting_of(cluster: Cluster, key: str) -> str:
    """The name under which a person set it: MAGE_URL, or `url` of [clusters.prod]."""
    return f"MAGE_{key.upper()}" if cluster.name == DEFAULT_CLUSTER else f"`{key}` of [clusters.{cluster.name}]"


def login_command(cluster: Cluster, *, cloud: bool = False) -> str:
    """What a person types to log in there. Their terminal has neither the flags nor the variables of the server."""
    words = ["mage-mcp", "login"]
    if cluster.name != DEFAULT_CLUSTER:
        words += ["--cluster", cluster.name]
    elif cluster.url and not cloud:
        words += ["--url", cluster.url]
    words += ["--cloud"] if cloud else []
    words += ["--config", cluster.file] if cluster.file else []
    elsewhere = cloud and cluster.name == DEFAULT_CLUSTER and cluster.cloud_url != CLOUD_URL
    return (f"MAGE_CLOUD_URL={shlex.quote(cluster.cloud_url)} " if elsewhere else "") + shlex.join(words)


class Settings(BaseModel):
    """The whole configuration.

    `sources` tells where each value that is not a default came from: by its name, and what a cluster has of its own by
    `clusters.NAME.key`. Under `clusters.NAME.password_env` stands what names a variable that is not set.
    """

    model_config = ConfigDict(frozen=True)

    clusters: tuple[Cluster, ...] = (Cluster(),)
    toolsets: tuple[str, ...] = DEFAULT_TOOLSETS
    read_only: bool = False
    confirm: Confirm = "ask"
    demo: bool = False
    demo_pace: float | None = Field(default=None, description="Its time passes only while a call waits, so fast.")
    audit: str = Field(default="", description="File for audit lines; to stderr where it is empty.")
    log_level: LogLevel = "WARNING"
    sources: Mapping[str, str] = Field(default={}, repr=False)

    @property
    def cluster(self) -> Cluster:
        """The one that is meant where none is named: the first."""
        return self.clusters[0]

    def source_of(self, key: str, cluster: Cluster | None = None) -> str:
        """Where that value, of a cluster if one is given, came from; empty for a default."""
        if cluster is not None and (own := self.sources.get(f"clusters.{cluster.name}.{key}")):
            return own
        return self.sources.get(key, "") if cluster is None or cluster.name == DEFAULT_CLUSTER else ""

    def model_post_init(self, _: Any, /) -> None:
        """Read-only anywhere holds everywhere below."""
        if self.read_only and not all(cluster.read_only for cluster in self.clusters):
            tightened = tuple(cluster.model_copy(update={"read_only": True}) for cluster in self.clusters)
            object.__setattr__(self, "clusters", tightened)


def is_open_to_eavesdroppers(url: str) -> bool:
    """Plain http to another machine."""
    host = urlsplit(url).hostname or ""
    return url.startswith("http://") and not (host in {"localhost", "::1"} or host.startswith("127."))


def state_folder() -> Path:
    """MAGE_MCP_STATE_DIR, else the user's state folder, wherever the platform keeps that."""
    if folder := os.environ.get("MAGE_MCP_STATE_DIR"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_state_path("mage-mcp", appauthor=False)
