"""Where compiled kernels are kept: a folder for each version of the code.

numba keeps compiled code as long as the file a kernel stands in is unchanged, though the kernel may call others that
have changed. So the folder is named by a hash of all the code that is compiled.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path

CORE = Path(__file__).with_name("core")


def cache_folder() -> Path:
    """Where this version's compiled kernels lie.

    Below ``NUMBA_CACHE_DIR``, or ``etf_pipeline`` in the user's cache folder (``XDG_CACHE_HOME``, by default ~/.cache).
    """
    digest = hashlib.sha256(f"{version('numba')} {version('numpy')} {sys.version}".encode())
    for file in sorted(CORE.rglob("*.py")):
        digest.update(file.read_bytes())
    name = digest.hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etf_pipeline"
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or home)
    # A process started by this one has the folder in its environment already.
    return base if base.name == name else base / name


def use_own_cache() -> None:
    """From now on numba keeps its compiled code in ``cache_folder``. To be called before any kernel is defined."""
    os.environ["NUMBA_CACHE_DIR"] = str(cache_folder())
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
