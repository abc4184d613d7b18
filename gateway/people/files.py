"""Files for the daemon's eyes alone."""

from __future__ import annotations

import os
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, whole or not at all; it stays its owner's. Errors: OSError."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # whose rights would stay
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if path.exists():
            former = path.stat()
            os.fchown(descriptor, former.st_uid, former.st_gid)
        file.write(content)
    new.replace(path)
