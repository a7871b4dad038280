"""What of a pipeline's settings can be changed, to which values: Mage takes any, and fails in the next run."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mage_mcp.client.clusters.config_patch import merged
from mage_mcp.client.records import PipelineRecord
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK, one_line, show

_LONGEST_TEXT, _LONGEST_TAG, _MOST_TAGS = 2_000, 60, 30
_LARGEST = 1_000_000_000


@dataclass(frozen=True)
class _Takes:
    """The values that a setting takes, and in words."""

    right: Callable[[Any], bool]
    words: str


def _whole(least: int) -> _Takes:
    return _Takes(
        lambda value: type(value) is int and least <= value <= _LARGEST, f"a whole number from {least} on, or null"
    )


def _one_of(*words: str) -> _Takes:
    return _Takes(lambda value: value in words, f"{', '.join(words)}, or null")


_FLAG = _Takes(lambda value: isinstance(value, bool), "true or false")
_TREE: Mapping[str, Any] = {
    "retry_config": {
        "retries": _whole(0),
        "delay": _whole(0),
        "max_delay": _whole(0),
        "exponential_backoff": _FLAG,
    },
    "concurrency_config": {
        "block_run_limit": _whole(1),
        "pipeline_run_limit": _whole(1),
        "pipeline_run_limit_all_triggers": _whole(1),
        "on_pipeline_run_limit_reached": _one_of("wait", "skip"),
    },
    "settings": {"triggers": {"save_in_code_automatically": _FLAG}},
    "executor_type": _one_of(
        "local_python", "local_python_force", "k8s", "ecs", "gcp_cloud_run", "azure_container_instance", "pyspark"
    ),
    "cache_block_output_in_memory": _FLAG,
    "run_pipeline_in_one_process": _FLAG,
}
"""Source: Mage RetryConfig, ConcurrencyConfig, PipelineSettings, ExecutorType. Keys beside these break its runs."""
_NEVER_NULL = ("cache_block_output_in_memory", "run_pipeline_in_one_process")


def config_of(record: PipelineRecord) -> dict[str, Any]:
    """The settings as they are."""
    return {key: getattr(record, key) for key in _TREE}


def set_config(record: PipelineRecord) -> dict[str, Any]:
    """Those that were set at all."""
    return {key: value for key, value in config_of(record).items() if _meant(value) not in (None, {}, False)}


def changed_config(record: PipelineRecord, patch: Mapping[str, Any]) -> dict[str, Any]:
    """What to send for a patch: Mage replaces objects whole, so each is merged with what there is.

    Raises MageInvalid for keys that Mage does not know and values that it would fail on.
    """
    _check(patch, _TREE, ())
    now = config_of(record)
    new = {key: merged(now, {key: value}).get(key) for key, value in patch.items()}
    # Mage takes null for an object too, and answers an empty one.
    sent = {key: {} if value is None and isinstance(now[key], dict) else value for key, value in new.items()}
    return {key: value for key, value in sent.items() if not same_config(value, now[key])}


def same_config(one: Any, other: Any) -> bool:
    """Whether two settings mean the same: Mage answers null for what was never set."""
    return json.dumps(_meant(one), sort_keys=True) == json.dumps(_meant(other), sort_keys=True)


def _meant(value: Any) -> Any:
    if not isinstance(value, dict):
        return value or None if isinstance(value, str) else value
    kept = {key: _meant(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item not in (None, {})}


def _check(patch: Any, tree: Mapping[str, Any], where: tuple[str, ...]) -> None:
    if not isinstance(patch, Mapping):
        raise _wrong(where, "an object")
    for key, value in patch.items():
        takes, path = tree.get(key), (*where, str(key))
        if takes is None:
            raise MageInvalid(
                f"A pipeline has no setting {one_line('.'.join(path), 60)!r} to change; nothing was changed.",
                next_step=f"There {'are' if len(tree) > 1 else 'is'}: {', '.join(tree)}.",
            )
        if value is None and key not in _NEVER_NULL:
            continue
        if isinstance(takes, _Takes):
            if not takes.right(value):
                raise _wrong(path, takes.words)
        else:
            _check(value, takes, path)


def _wrong(where: tuple[str, ...], words: str) -> MageInvalid:
    return MageInvalid(
        f"{'.'.join(where) or 'The patch'} takes {words}; nothing was changed.", next_step="Give it such a value."
    )


def checked_text(text: str, *, what: str) -> str:
    """Raises MageInvalid for a masked text, half a character, or more than Mage's pages show."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MageInvalid(
            f"The {what} holds half a character; nothing was changed.", next_step="Leave that out."
        ) from None
    if MASK in text:
        raise MageInvalid(f"The {what} holds the mask {MASK}; nothing was changed.", next_step="Give the real text.")
    if len(text) > _LONGEST_TEXT:
        raise MageInvalid(
            f"The {what} is over {_LONGEST_TEXT} characters; nothing was changed.", next_step="Shorten it."
        )
    return text


def checked_tags(tags: Sequence[str]) -> list[str]:
    """Each once, without space around it.

    Raises MageInvalid for one that no filter would find: it is empty, holds a comma, or what does not show.
    """
    found = list(dict.fromkeys(tag.strip() for tag in tags))
    for tag in found:
        if not tag or "," in tag or MASK in tag or not one_line(tag, _LONGEST_TAG) == tag == show(tag):
            raise MageInvalid(
                f"{one_line(tag, 40)!r} cannot be a tag; nothing was changed.",
                next_step=f"A tag is a word or a few, without commas, of at most {_LONGEST_TAG} characters.",
            )
    if len(found) > _MOST_TAGS:
        raise MageInvalid(f"Over {_MOST_TAGS} tags; nothing was changed.", next_step="Give fewer.")
    return found
