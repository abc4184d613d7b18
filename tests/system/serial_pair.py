"""A serial cable: two pseudo-terminals whose far ends are joined."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def serial_pair() -> Iterator[tuple[str, str]]:
    """The names of both ends. What one writes the other reads."""
    (one, near), (two, far) = pty.openpty(), pty.openpty()
    ended, end = os.pipe()
    for slave in (near, far):
        tty.setraw(slave)

    def carry() -> None:
        while True:
            ready, _, _ = select.select((one, two, ended), (), ())
            if ended in ready:
                return
            for master in ready:
                data = os.read(master, 4096)
                os.write(two if master == one else one, data)

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield os.ttyname(near), os.ttyname(far)
    finally:
        os.close(end)
        thread.join()
        for descriptor in (one, two, near, far, ended):
            os.close(descriptor)
