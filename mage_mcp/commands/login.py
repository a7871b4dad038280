"""`mage-mcp login`: try a login once, and keep its token where the server finds it."""

import argparse
import sys
from datetime import UTC, datetime

import anyio

from mage_mcp.client.auth import Opened
from mage_mcp.client.login import open_session, try_token
from mage_mcp.commands._login import (
    add_place_options,
    ask_hidden,
    ask_person,
    cluster_of,
    complain,
    is_on_the_command_line,
    place_of,
    refuse_on_the_command_line,
)
from mage_mcp.commands._options import add_settings_options, settings_from
from mage_mcp.credentials import KeptLogin, Place, Store, StoreUnusable, cloud_key, cluster_key
from mage_mcp.credentials.store import PERSON_LIMIT_S
from mage_mcp.errors import MageAuthRequired, MageError, MageInvalid, MageNotConfigured
from mage_mcp.settings import Cluster, is_open_to_eavesdroppers, login_command, setting_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings_options(parser, shown=("--url", "--config"))
    add_place_options(parser)
    parser.add_argument("--email", metavar="EMAIL", default="", help="whose login; asked for if left out")
    parser.add_argument(
        "--keep-password",
        action="store_true",
        help="keep email and password too, so that the server logs in anew itself",
    )
    parser.add_argument(
        "--token-stdin",
        action="store_true",
        help="take a ready session token from standard input instead (single sign-on)",
    )
    refuse_on_the_command_line(parser, "--password", "--token")
    parser.epilog = """\
The password is asked for; without a terminal it is the first line of standard input.

  mage-mcp login --url https://mage.example.com
  mage-mcp login --cluster prod --cloud
"""


def run(arguments: argparse.Namespace) -> int:
    """0 where a login is kept, or none is needed; 1 where it failed; 2 where the question was wrong."""
    if is_on_the_command_line(arguments):
        return 2
    settings = settings_from(arguments)
    if settings is None:
        return 2
    if settings.demo:
        print("The simulated Mage needs no login; nothing was kept.")
        return 0
    try:
        cluster = cluster_of(settings, arguments.cluster, cloud=arguments.cloud)
        login = _tried(cluster, arguments)
    except (MageInvalid, MageNotConfigured) as error:
        complain(error)
        return 2
    except MageError as error:
        # The client's advice is for a model whose person is elsewhere; here the person is.
        complain(f"mage-mcp: {error.what} Nothing was kept." if isinstance(error, MageAuthRequired) else error)
        return 1
    where = place_of(cluster, cloud=arguments.cloud)
    if login is None:
        print(f"{where} needs no login; nothing was kept.")
        return 0
    key = cloud_key(cluster) if arguments.cloud else cluster_key(cluster)
    try:
        place = Store(limit_s=PERSON_LIMIT_S).keep_login(key, login)
    except StoreUnusable as error:
        complain(f"mage-mcp: the login is good, but cannot be kept. {error}")
        return 1
    _tell(cluster, login, place, where, cloud=arguments.cloud)
    return 0


def _tried(cluster: Cluster, arguments: argparse.Namespace) -> KeptLogin | None:
    """The login, once Mage has taken it; None where it needs none.

    Raises MageInvalid for what is contradictory or left out, and other MageErrors.
    """
    cloud = arguments.cloud
    url = cluster.cloud_url if cloud else cluster.url
    if is_open_to_eavesdroppers(url):
        complain(f"mage-mcp: {url} is not encrypted (http): who listens can read the password.")
    if arguments.token_stdin:
        if arguments.keep_password:
            raise MageInvalid("--token-stdin brings no password that --keep-password could keep.")
        token = ask_hidden("Token (not shown): ").strip()
        opened = anyio.run(lambda: try_token(cluster, token, cloud=cloud))
        return KeptLogin(opened.token, opened.expires, _email(cluster, arguments, ask=False)) if opened else None
    email = _email(cluster, arguments, ask=True)
    password = ask_hidden(f"Password of {email} (not shown): ")
    opened = anyio.run(lambda: open_session(cluster, email, password, cloud=cloud))
    return _kept(opened, email, password if arguments.keep_password else "") if opened else None


def _kept(opened: Opened, email: str, password: str) -> KeptLogin:
    return KeptLogin(opened.token, opened.expires, email, password, ours=True)


def _email(cluster: Cluster, arguments: argparse.Namespace, *, ask: bool) -> str:
    key = "cloud_email" if arguments.cloud else "email"
    configured: str = getattr(cluster, key)
    given: str = arguments.email.strip()
    if given and configured and given.casefold() != configured.casefold():
        raise MageInvalid(
            f"{setting_of(cluster, key)} names another email, so that the server would not use this login.",
            next_step="Leave --email out, or correct the configuration.",
        )
    email = given or configured
    if not email and ask:
        if not sys.stdin.isatty():
            raise MageInvalid("Whose login?", next_step="Without a terminal, say --email EMAIL.")
        email = ask_person(f"Email for {place_of(cluster, cloud=arguments.cloud)}: ")
    return email


def _tell(cluster: Cluster, login: KeptLogin, place: Place, where: str, *, cloud: bool) -> None:
    until = f"until {datetime.fromtimestamp(login.expires, UTC):%Y-%m-%d %H:%M} UTC" if login.expires else ""
    tried = "" if login.ours or not cloud or cluster.in_cloud else " (not tried: no cluster of the Cloud is configured)"
    print(f"Logged in to {where}{f' as {login.email}' if login.email else ''}{tried}.")
    if place.problem:
        print(f"{place.problem} So it is kept in a file.")
    what = "The token, the email and the password are" if login.password else "The token is"
    print(f"{what} kept in {place.title}{', and the token is good ' + until if until else ''}.")
    if login.password:
        print("The server logs in anew by itself when the token ends.")
    else:
        print(f"When it ends, run `{login_command(cluster, cloud=cloud)}` again; the password was not kept.")
    secret = "cloud_password" if cloud else "password"
    names = [setting_of(cluster, key) for key in (secret, *(() if cloud else ("token",))) if getattr(cluster, key)]
    if names:
        print(f"Note that {' and '.join(names)} in the configuration come first: remove them to use this login.")
    print("A running server takes it from there at its next call: nothing has to be restarted.")
