"""Keep a Mage under test on this machine: connections that leave it are refused at once.

Mage asks the package index for its newest version, whatever its settings. No code of Mage's is changed.
"""

import socket
import sys
from typing import Any

LOCAL = {"", "localhost", "::1", "0.0.0.0", "::", socket.gethostname()}


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    if name not in LOCAL and not name.startswith("127."):
        raise OSError(101, f"the tests keep Mage on this machine: {name}")


sys.addaudithook(_refuse)
