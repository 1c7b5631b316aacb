"""Shared fixtures: where the real market data is, and a skip with a reason where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def data_root() -> Path:
    return Path(os.environ.get("ETF_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The shared market data, or a skip that says how to provide it."""
    root = data_root()
    if not root.is_dir():
        pytest.skip(f"no market data at {root}: set ETF_TEST_DATA to the folder that holds asx/, us/, macro/")
    return root
