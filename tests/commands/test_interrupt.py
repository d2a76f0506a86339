"""Ctrl-C, pressed once or many times."""

import subprocess
import sys

SCRIPT = """
import os, signal, subprocess, sys, time
from harness.commands import interrupt
from harness.commands.interrupt import one_interrupt

interrupt.END_SECONDS = 120.0  # a busy machine may take longer to press 300 times
PRESS = "import os, sys; sys.stdin.read(); [os.kill(int(sys.argv[1]), 2) for _ in range(300)]"
try:
    with one_interrupt():
        command = [sys.executable, "-S", "-c", PRESS, str(os.getpid())]
        pressing = subprocess.Popen(command, stdin=subprocess.PIPE)
        pressing.stdin.close()  # now it begins
        time.sleep(300)
except KeyboardInterrupt:
    pressing.wait()
    # Python's own function: a signal that arrives while it is replaced by SIG_IGN is a traceback
    assert callable(signal.getsignal(signal.SIGINT))
    print("cleaned up")
"""


def test_the_first_of_many_interrupts_ends_and_the_others_change_nothing():
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "cleaned up\n", "")
