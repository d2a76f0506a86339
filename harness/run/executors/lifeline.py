"""No process outlives the run that started it, however that ended, and no folder is left behind.

The run may be killed while a worker is stopped for another's measurement. A stopped process reads
no pipe and handles no signal, so somebody else has to end it. The chain is: the run ends, so the
pipe that keeps the fork server alive closes; the server kills what it forked, removes the folder of
its socket and ends; and if it was killed itself, the kernel kills its workers (`end_with_parent`).
"""

from __future__ import annotations

import atexit
import fcntl
import os
import select
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import current_process, forkserver, util
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from harness.parent_death import end_with_parent
from harness.run.executors import stopping

PREFIX = "harness-workers-"
"""Of the temporary folder of a run's sockets; the number of its process follows."""
FOLDER = "HARNESS_WORKERS_FOLDER"
"""The environment variable in which the fork server finds that folder."""
HELD = "held"
"""The file in it that the run holds locked."""
LONGEST_PLACE, SHORT_PLACE = 50, "/tmp"
"""The path of a socket may have 107 bytes (sun_path of unix(7)); clusters set TMPDIR to long ones,
and our folder and multiprocessing's name of the socket need 50."""


# ---- in the run ---------------------------------------------------------------------------------


def own_folder() -> str:
    """The temporary folder of this process's sockets, under a name that says whose it is.

    It is removed when this process ends; folders of runs that were killed are removed now.
    """
    _sweep()
    config = current_process()._config  # type: ignore[attr-defined]
    if config.get("tempdir") is None:  # multiprocessing would make one called `pymp-…`
        folder = str(_held_folder())
        util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)
        config["tempdir"] = folder
    return str(config["tempdir"])


def _place() -> str:
    """The folder for temporary files, or a shorter one where no socket's path would fit in it."""
    place = tempfile.gettempdir()
    return place if len(os.fsencode(place)) <= LONGEST_PLACE else SHORT_PLACE


def _sweep() -> None:
    """Remove the folders of runs that are gone: whoever was killed with SIGKILL left its own.

    The number of a process does not say whether it is gone: it may be one of another machine or
    container that shares the place, or by now that of another process.
    """
    for folder in Path(_place()).glob(f"{PREFIX}*"):
        with suppress(OSError), (folder / HELD).open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error while its run holds it
            shutil.rmtree(folder, ignore_errors=True)


def _held_folder() -> Path:
    """A new temporary folder that says, as long as this process lives, that it is in use."""
    number = os.getpid()
    # under another name until its lock is held: nobody takes it for abandoned in between
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}{number}-", dir=_place()))
    # left open, and closed in what is started from here: the lock ends with this process
    handle = os.open(made / HELD, os.O_RDWR | os.O_CREAT, 0o600)
    with suppress(OSError):  # a file system without locks: there nobody sweeps, either
        fcntl.flock(handle, fcntl.LOCK_EX)
    return made.rename(made.with_name(made.name.removeprefix(".")))


@contextmanager
def held_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back for a moment, so that a server that starts here never sees it.

    It is delivered at the end. The new process inherits the mask: it has handlers only later.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- in the fork server -------------------------------------------------------------------------


def end_workers_at_exit() -> None:
    """Make the fork server, when the run is gone, end what it forked and clean up.

    Workers leave by `os._exit`, so this does not run in them.
    """
    atexit.register(_end_family, os.getpid(), os.environ.get(FOLDER))


def _end_family(server: int, folder: str | None) -> None:
    if os.getpid() != server:
        return
    stopping.end(psutil.Process().children(recursive=True))  # stopped ones, too
    if folder and Path(folder).name.startswith(PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


# ---- in a worker --------------------------------------------------------------------------------


def follow_parent(pipe: Connection) -> None:
    """Make this worker end when the fork server does, and when the run does."""
    end_with_parent()
    _let_server_end()
    poll = select.poll()
    poll.register(pipe.fileno(), 0)  # no events: only that the other end is gone is told
    threading.Thread(target=_wait_for_end, args=(poll,), daemon=True, name="lifeline").start()


def _wait_for_end(poll: select.poll) -> None:
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def _let_server_end() -> None:
    """Close this worker's copy of the pipe that keeps the fork server alive.

    Every process that the server forked gets one, so that it may use the server itself; with it a
    worker that is stopped would keep the server, and the server that worker, alive for good.
    """
    server = getattr(forkserver, "_forkserver", None)
    handle = getattr(server, "_forkserver_alive_fd", None)
    if server is not None and handle is not None:
        os.close(handle)
        server._forkserver_alive_fd = None
