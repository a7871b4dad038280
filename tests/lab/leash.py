"""Run a command that ends with whoever started it: `python leash.py FOLDER COMMAND...`, standard input held open.

When standard input closes, because the owner let go or because it died in whatever way, the command ends, and all
that it started, in other process groups too; then the folder, where it kept its files, is removed. Mage needs it: a
plain SIGTERM leaves its scheduler behind, running pipelines, and its notebook kernel has a group of its own.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time

PATIENCE_S = 1.0
PR_SET_CHILD_SUBREAPER = 36


def main(folder: str, *command: str) -> int:
    """Wait for the command or for the end of standard input; leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, not SIG_IGN: what is ignored here would be ignored by the command as well.
        signal.signal(number, lambda *_: None)
    if sys.platform == "linux":
        # Orphans become ours, not init's: they can be found, and none stays behind as a zombie.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    held = True
    while held and child.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.2)
        held = not readable or bool(os.read(0, 1024))
    end(child)
    status = child.wait()
    reap()
    if not held:  # else the owner may want to read what happened
        shutil.rmtree(folder, ignore_errors=True)
    return status


def end(child: "subprocess.Popen[bytes]") -> None:
    """Ask the whole family to end, then make it."""
    known = family(child.pid)
    signal_all(known, signal.SIGTERM)
    give_up = time.monotonic() + PATIENCE_S
    while known and time.monotonic() < give_up:
        time.sleep(0.05)
        known = (known & set(processes())) | family(child.pid)
    signal_all(known, signal.SIGKILL)


def family(pid: int) -> set[int]:
    """The processes of a group, and all that descend from them or from this process, bar itself."""
    table = processes()
    members = {process for process, (_, group) in table.items() if group == pid} | {os.getpid()}
    while True:
        more = {process for process, (parent, _) in table.items() if parent in members} - members
        if not more:
            return members - {os.getpid()}
        members |= more


def reap() -> None:
    """Take the status of every process that ended as ours."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.02)
        except ChildProcessError:
            return


def processes() -> dict[int, tuple[int, int]]:
    """Each running process, bar the one that looks, with its parent and its group."""
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], stdout=subprocess.PIPE, text=True) as ps:
        rows = [row.split() for row in ps.communicate()[0].splitlines()]
    table = {int(pid): (int(parent), int(group)) for pid, parent, group, state in rows if not state.startswith("Z")}
    table.pop(ps.pid, None)
    return table


def signal_all(pids: set[int], number: signal.Signals) -> None:
    """Send a signal to each, whether it is still there or not."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
