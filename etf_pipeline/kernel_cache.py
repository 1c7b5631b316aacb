"""Where compiled kernels are kept: a folder for each version of the code.

numba keeps compiled code as long as the file a kernel stands in is unchanged, though the kernel may call others that
have changed, and keeps it by that file's place. So the folder is named by a hash of all the code that is compiled and of
where it lies: make, the command and the UI of one checkout share it, a second checkout has its own.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

CORE = Path(__file__).with_name("core")


def cache_folder() -> Path:
    """Where this version's compiled kernels lie.

    Below ``NUMBA_CACHE_DIR``, or ``etf_pipeline`` in the user's cache folder (``XDG_CACHE_HOME``, by default ~/.cache);
    in the folder for temporary files where that cannot be written.
    """
    digest = hashlib.sha256(f"{version('numba')} {version('numpy')} {sys.version} {CORE.resolve()}".encode())
    for file in sorted(CORE.rglob("*.py")):
        digest.update(file.read_bytes())
    name = digest.hexdigest()[:16]
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or _users_cache())
    # A process started by this one has the folder in its environment already.
    return base if base.name == name else base / name


def _users_cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etf_pipeline"
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return home if writable else Path(tempfile.gettempdir()) / f"etf_pipeline-{os.getuid()}"


def use_own_cache() -> None:
    """From now on numba keeps its compiled code in ``cache_folder``. To be called before any kernel is defined."""
    os.environ["NUMBA_CACHE_DIR"] = str(cache_folder())
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
