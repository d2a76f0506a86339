"""A page or an app in a process of its own, as somebody would start it."""

import os
import re
import select
import subprocess
import time
from contextlib import contextmanager

ODD = "<img src=https://example.com/x.png> & ![x](https://example.com/y.png)"
"""A question that a page must show as the text that it is."""


@contextmanager
def served(words, cwd, pattern=r"(http://127\.0\.0\.1:\d+)"):
    """The address that the process started by ``words`` prints, and its id; it ends with it."""
    process = subprocess.Popen(
        words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    said, ends = "", time.monotonic() + 240
    try:
        while not (found := re.search(pattern, said)):
            ready, _, _ = select.select([process.stdout], [], [], max(0, ends - time.monotonic()))
            assert ready, said
            line = process.stdout.readline()
            assert line, said
            said += line
        yield found[1], process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
