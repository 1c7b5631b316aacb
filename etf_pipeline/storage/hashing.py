"""Content hashes: the same facts hash the same, whatever their order, run or day of learning."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from etf_pipeline.storage.contracts.base import Contract


def content_hash(frame: pd.DataFrame, contract: Contract) -> str:
    """32 hex digits over the contract's columns, volatile ones left out, rows in key order.

    Floats enter bit for bit (every NaN as one NaN, minus zero as zero), dates as whole days, text as UTF-8.
    """
    columns = [c for c in contract.columns if not c.volatile]
    # A categorical sorts by the order of its categories, which is no fact.
    categorical = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    frame = frame.astype(dict.fromkeys(categorical, object)) if categorical else frame
    # A volatile part of the key is not hashed, but it orders the versions of one fact.
    ordered = frame.sort_values(list(contract.key), kind="stable") if len(frame) > 1 else frame
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{contract.table}:{len(ordered)}".encode())
    for column in columns:
        digest.update(f"|{column.name}:{column.type}|".encode())
        digest.update(_column_bytes(ordered[column.name], column.type))
    return digest.hexdigest()


def _column_bytes(series: pd.Series, kind: str) -> bytes:
    if kind == "VARCHAR":
        codes, categories = pd.factorize(series, sort=True, use_na_sentinel=True)
        texts = [str(c).encode() for c in categories]
        lengths = np.array([len(text) for text in texts], dtype="<i8")
        return lengths.tobytes() + b"".join(texts) + codes.astype("<i4").tobytes()
    if kind == "DATE":
        return series.to_numpy(dtype="datetime64[D]").astype("<i8").tobytes()
    if kind == "TIMESTAMP":
        return series.to_numpy(dtype="datetime64[us]").astype("<i8").tobytes()
    values = series.to_numpy(dtype="<f8", na_value=np.nan).copy()
    values[np.isnan(values)] = np.nan
    values += 0.0  # minus zero becomes zero: DuckDB's compression does not keep them apart
    return values.tobytes()


@lru_cache(maxsize=1)
def code_version() -> str:
    """12 hex digits of the package's own Python source: changes when any line of it does."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
