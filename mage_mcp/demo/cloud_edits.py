"""Other people at the Cloud's portal: changes that do not come from whoever is under test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mage_mcp.demo.cloud import CloudCluster

_KEEP: Any = object()


@dataclass(frozen=True)
class Edit:
    """A change of a cluster's config, done by calling it with the cluster. All parts may be combined."""

    config: Any = _KEEP
    """The whole config anew; None makes it null."""
    merge: Mapping[str, Any] = field(default_factory=dict)
    """A JSON merge patch: null removes, objects are merged, all else is replaced."""
    set_env: Mapping[str, str] = field(default_factory=dict)
    unset_env: Sequence[str] = ()
    status: str | None = None
    """Start (`Active`) or stop (`Stopped`) the cluster as well."""
    name: str = ""
    """Call the cluster that."""
    restarts: bool = False
    """The cluster restarts, as it does when the portal saves. Without it, tests have a state that stands still."""

    def __call__(self, cluster: CloudCluster) -> None:
        config = cluster.config if self.config is _KEEP else self.config
        cluster.name = self.name or cluster.name
        if self.merge:
            config = merged(config, self.merge)
        if self.set_env or self.unset_env:
            config = {**(config or {}), "extraEnvs": self._envs((config or {}).get("extraEnvs") or [])}
        if self.status is not None or self.restarts:
            cluster.save(config, self.status)
        else:
            cluster.config = config

    def _envs(self, envs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = [item for item in envs if item.get("name") not in self.unset_env]
        known = {item.get("name") for item in kept}
        changed = [
            {**item, "value": self.set_env[item["name"]]} if item.get("name") in self.set_env else item for item in kept
        ]
        return changed + [{"name": name, "value": value} for name, value in self.set_env.items() if name not in known]


def merged(stored: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(stored) if isinstance(stored, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
