"""Facts on sessions, on a real Mage that asks for a login: what opens one, what ends it, and for whom."""

import time

import pytest

from mage_mcp import errors
from mage_mcp.client import Cluster
from mage_mcp.client.login import end_session, open_session, try_token
from tests.lab.mage import EMAIL, PASSWORD, RealMage

pytestmark = [pytest.mark.anyio, pytest.mark.real]
MONTH_S = 30 * 24 * 3600


@pytest.fixture
def cluster(real_mage_with_login: RealMage) -> Cluster:
    return Cluster(url=real_mage_with_login.url)


async def test_a_session_lasts_thirty_days_and_is_a_session_of_its_own(cluster: Cluster):
    first, second = [await open_session(cluster, EMAIL, PASSWORD) for _ in range(2)]
    assert first.token != second.token
    assert first.expires == pytest.approx(time.time() + MONTH_S, abs=120)
    assert await try_token(cluster, first.token) == first
    assert await try_token(cluster, second.token) == second


async def test_a_logout_ends_the_one_session_and_no_other(cluster: Cluster):
    ended, other = [await open_session(cluster, EMAIL, PASSWORD) for _ in range(2)]
    assert await end_session(cluster, ended.token)
    with pytest.raises(errors.MageAuthRequired, match="expired or revoked"):
        await try_token(cluster, ended.token)
    assert not await end_session(cluster, ended.token), "it had ended already, and nothing else is ended"
    assert await try_token(cluster, other.token) == other


async def test_a_wrong_password_is_told_and_a_made_up_token_too(cluster: Cluster):
    with pytest.raises(errors.MageAuthRequired, match="refused the email or the password"):
        await open_session(cluster, EMAIL, "planted-and-wrong")
    with pytest.raises(errors.MageAuthRequired, match="expired or revoked"):
        await try_token(cluster, "planted-and-made-up")
