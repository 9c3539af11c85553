"""A program on a pseudo terminal, with somebody who reads what it shows and answers.

    status, seen = on_terminal(["neonferry", "plan"], {b"[y/N]": lambda process: b"y\n"}, columns=80)
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


def on_terminal(argv, when=None, columns=0, **kw):
    """(exit status, what it showed). when: {text: act}; act(process) is called once, as soon as the
    text was seen, and what it returns is typed. kw: as of Popen."""
    ours, theirs = pty.openpty()
    if columns:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, **kw)
    os.close(theirs)
    seen, when, deadline = b"", dict(when or {}), time.monotonic() + 300
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 1)[0]:
            try:
                more = os.read(ours, 65536)
            except OSError:
                break
            if not more:
                break
            seen += more
        for text in [text for text in when if text in seen]:
            os.write(ours, when.pop(text)(process) or b"")
    process.wait(30)
    os.close(ours)
    return process.returncode, seen.decode(errors="replace")
