"""Whether runs that failed one after the other failed in the same way, as far as they tell themselves."""

import pytest

from mage_mcp.client.runs.history import History, history_of
from tests.failures.recordings import run_of


def after(latest: str, *earlier: str) -> History:
    """The history of a run of one kind, those before it being of others, newest first."""
    runs = [run.model_copy(update={"id": 9 - age}) for age, run in enumerate(map(run_of, (latest, *earlier)))]
    return history_of(runs[0], runs, None)


@pytest.mark.parametrize(
    ("latest", "earlier", "same"),
    [
        ("raise", ("raise", "raise"), True),
        ("raise", ("raise", "key_error"), False),
        ("retry_exhausted", ("raise",), False),
        # What they do not tell is not taken to be the same.
        ("one_process", ("one_process",), None),
        ("trigger_timeout", ("trigger_timeout",), None),
        ("integration", ("integration",), None),
        ("raise", ("one_process",), None),
    ],
)
def test_runs_failed_in_the_same_way(latest: str, earlier: tuple[str, ...], same: bool | None) -> None:
    history = after(latest, *earlier)
    assert history.same_error is same
    assert history.failed_in_a_row == 1 + len(earlier)


def test_a_run_that_passed_ends_the_row() -> None:
    assert after("raise", "raise", "retry_passes", "raise").failed_in_a_row == 2
    assert after("raise", "retry_passes").same_error is None
