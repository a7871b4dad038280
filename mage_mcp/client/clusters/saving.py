"""What one read, write and look brought, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mage_mcp.client.clusters.cloud import CloudState
from mage_mcp.client.clusters.config_patch import paths
from mage_mcp.client.clusters.env_vars import EnvDiff, differing
from mage_mcp.client.clusters.masking import ENVS
from mage_mcp.client.clusters.models import ConfigChange, EnvVarsChange
from mage_mcp.text import quoted, show

T = TypeVar("T")

_MOST_OTHERS = 10


@dataclass(frozen=True)
class Saved(Generic[T]):
    """One read, write and look. `sent` is None where nothing was to be written."""

    before: CloudState
    outcome: T
    sent: dict[str, Any] | None = field(repr=False)
    back: CloudState | None
    note: str = ""
    ours: frozenset[str] = frozenset()
    """What other calls of this process changed between the first read and `before`."""


def env_acts(diff: EnvDiff) -> list[str]:
    return [
        *(f"add {quoted(name)}" for name in sorted(diff.added)),
        *(f"overwrite {quoted(name)}" for name in sorted(diff.overwritten)),
        *(f"remove {quoted(name)}" for name in sorted(diff.removed)),
    ]


def env_answer(
    saved: Saved[EnvDiff],
    *,
    others: list[str] | None = None,
    not_kept: list[str] | None = None,
    would: Sequence[str] | None = None,
) -> EnvVarsChange:
    """`would` is what a dry run found; None where it was none."""
    diff = saved.outcome
    notes = [saved.note, *diff.notes, *_warnings(others, not_kept)]
    if not diff.changes:
        notes.append("Nothing to change, so nothing was written.")
    elif would is not None:
        notes = ["A dry run: nothing was written.", *(["It would be so:"] if diff.notes else []), *notes]
    return EnvVarsChange(
        changed=saved.sent is not None,
        would=list(would or ()),
        cloud_name=saved.before.name,
        cloud_id=saved.before.id,
        added=diff.added,
        overwritten=diff.overwritten,
        removed=diff.removed,
        unchanged=diff.unchanged,
        others=others or [],
        not_kept=not_kept or [],
        after=saved.back.status if saved.back else "",
        note=" ".join(note for note in notes if note),
    )


def config_answer(
    saved: Saved[list[str]],
    *,
    others: list[str] | None = None,
    not_kept: list[str] | None = None,
    would: Sequence[str] | None = None,
) -> ConfigChange:
    notes = [saved.note, *_warnings(others, not_kept)]
    if not saved.outcome:
        notes.append("Nothing to change, so nothing was written.")
    elif would is not None:
        notes.append("A dry run: nothing was written.")
    return ConfigChange(
        changed=saved.sent is not None,
        would=list(would or ()),
        cloud_name=saved.before.name,
        cloud_id=saved.before.id,
        diff=saved.outcome,
        others=others or [],
        not_kept=not_kept or [],
        after=saved.back.status if saved.back else "",
        note=" ".join(note for note in notes if note),
    )


def _warnings(others: list[str] | None, not_kept: list[str] | None) -> list[str]:
    warnings = []
    if others:
        warnings.append("Others changed this config at the same time; what they changed is listed.")
    if not_kept:
        warnings.append("What came back is not what was sent: somebody wrote right after, or Mage Cloud changed it.")
    return warnings


def between(first: CloudState, saved: Saved[Any], asked: Sequence[str]) -> list[str]:
    """What others changed: between our first read and the last before the write, and after it, save what we wrote."""
    found = [name for name in differing_in(first.config, saved.before.config) if name not in saved.ours]
    found += [name for name in _differing_from_sent(saved) if not _touches(name, asked)]
    shown = [show(name) for name in dict.fromkeys(found)]
    cut = len(shown) - _MOST_OTHERS
    return [*shown[:_MOST_OTHERS], f"and {cut} more"] if cut > 0 else shown


def not_kept_of(saved: Saved[Any], asked: Sequence[str]) -> list[str]:
    """What was written and is not so any more."""
    return [show(name) for name in _differing_from_sent(saved) if _touches(name, asked)]


def _differing_from_sent(saved: Saved[Any]) -> list[str]:
    return [] if saved.sent is None or saved.back is None else differing_in(saved.sent, saved.back.config)


def _touches(name: str, asked: Sequence[str]) -> bool:
    """It is one of them, or a path within one or around one: `labels.team` and `labels`."""
    return any(name == one or _is_within(name, one) or _is_within(one, name) for one in asked)


def _is_within(path: str, around: str) -> bool:
    return path.startswith((f"{around}.", f"{around}["))


def differing_in(before: Any, after: Any) -> list[str]:
    """Names of variables and paths of the rest."""
    envs = [config.get(ENVS) if isinstance(config, dict) else None for config in (before, after)]
    return [*differing(*envs), *paths(before, after)]
