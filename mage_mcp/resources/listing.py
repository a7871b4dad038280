"""What `resources/list` holds beside the fixed ones: most hosts show people only what stands there."""

import anyio
from mcp.types import Resource

from mage_mcp.client import Mage
from mage_mcp.resources._views import JSON, PIPELINE, uri
from mage_mcp.resources.clusters import CONFIG
from mage_mcp.settings import DEFAULT_CLUSTER
from mage_mcp.tools._deps import App

MOST_PIPELINES = 100


async def listed(app: App) -> list[Resource]:
    """Each cluster's config, where it has a place in Mage Cloud, and up to a hundred pipelines.

    All clusters are asked at once, for two seconds; what they tell is remembered for five. One that is down has none.
    """
    found: dict[str, list[str]] = {name: [] for name in app.mages}

    async def ask(name: str, mage: Mage) -> None:
        found[name] = await mage.names.pipelines()

    async with anyio.create_task_group() as group:
        for name, mage in app.mages.items():
            group.start_soon(ask, name, mage)
    configs = [_config(cluster.name) for cluster in app.settings.clusters if cluster.in_cloud]
    shares = _shares({name: len(names) for name, names in found.items()}, MOST_PIPELINES)
    pipelines = [_pipeline(name, pipeline) for name, all_ in found.items() for pipeline in all_[: shares[name]]]
    return [*configs, *pipelines]


def _shares(wanted: dict[str, int], most: int) -> dict[str, int]:
    """How many each gets: the same for all, and what one does not need goes to the others."""
    shares = {}
    for left, name in zip(range(len(wanted), 0, -1), sorted(wanted, key=lambda name: wanted[name]), strict=True):
        shares[name] = min(wanted[name], most // left)
        most -= shares[name]
    return shares


def _config(cluster: str) -> Resource:
    return Resource(
        uri=uri(CONFIG, cluster=cluster),
        name=f"{cluster} config",
        title=f"Config{_on(cluster)}",
        description="The config in Mage Cloud; secrets and the values of variables are masked.",
        mime_type=JSON,
    )


def _pipeline(cluster: str, pipeline: str) -> Resource:
    return Resource(
        uri=uri(PIPELINE, cluster=cluster, pipeline=pipeline),
        name=pipeline,
        title=f"{pipeline}{_on(cluster)}",
        description="Pipeline: blocks, triggers, variables, latest runs.",
        mime_type=JSON,
    )


def _on(cluster: str) -> str:
    return "" if cluster == DEFAULT_CLUSTER else f" on {cluster}"
