"""`mage-mcp logout`: forget a login, and end its session where it was opened to be kept here."""

import argparse

import anyio

from mage_mcp.client.login import end_session
from mage_mcp.commands._login import (
    add_place_options,
    cluster_of,
    complain,
    is_on_the_command_line,
    place_of,
    refuse_on_the_command_line,
)
from mage_mcp.commands._options import add_settings_options, settings_from
from mage_mcp.credentials import KeptLogin, Store, StoreUnusable, cloud_key, cluster_key
from mage_mcp.credentials.store import PERSON_LIMIT_S
from mage_mcp.errors import MageError
from mage_mcp.settings import Cluster


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings_options(parser, shown=("--url", "--config"))
    add_place_options(parser)
    refuse_on_the_command_line(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 where nothing is kept any more; 1 where that is not certain; 2 where the question was wrong."""
    if is_on_the_command_line(arguments):
        return 2
    settings = settings_from(arguments)
    if settings is None:
        return 2
    if settings.demo:
        print("The simulated Mage needs no login; nothing is kept for it.")
        return 0
    try:
        cluster = cluster_of(settings, arguments.cluster, cloud=arguments.cloud)
    except MageError as error:
        complain(error)
        return 2
    store = Store(limit_s=PERSON_LIMIT_S)
    key = cloud_key(cluster) if arguments.cloud else cluster_key(cluster)
    where = place_of(cluster, cloud=arguments.cloud)
    try:
        login = store.login(key)
        removed = store.forget_login(key)
    except StoreUnusable as error:
        complain(f"mage-mcp: it is not certain that nothing is kept any more. {error}")
        return 1
    if not removed:
        print(f"No login to {where} was kept.")
        return 0
    print(f"The login to {where} was removed from the {' and the '.join(removed)}.")
    print(_ended(cluster, login, cloud=arguments.cloud))
    return 0


def _ended(cluster: Cluster, login: KeptLogin | None, *, cloud: bool) -> str:
    """What became of the session, ended if it is ours to end."""
    if login is None or not login.token:
        return "It held no token."
    if cloud:
        return "Its session at Mage Cloud ends by itself: that it can be ended is not documented."
    if not login.ours:
        return "Its session goes on: the token was not made here, and may be the one of your browser."
    try:
        ended = anyio.run(end_session, cluster, login.token)
    except MageError as error:
        return f"Its session may go on till it ends by itself: {error.what}"
    return "Its session was ended at Mage." if ended else "Its session had ended at Mage already."
