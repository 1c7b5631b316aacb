"""Files that belong together, joined: one basis, one coverage row a ticker."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from etf_pipeline.sources.base import Basis, SourceError
from etf_pipeline.sources.files.basis import gather_evidence, resolve_basis
from etf_pipeline.sources.files.finality import Vouched, vouch
from etf_pipeline.sources.files.table import FileBars

log = logging.getLogger(__name__)

Signature = tuple[bool, bool, bool]


@dataclass(frozen=True)
class Pool:
    """Rows of one or several files, sorted by ticker and session.

    Attributes
    ----------
    names : (K,) str, sorted.
    first_file : (K,) index into ``paths`` of the first file that has the ticker.
    code, session : (n,) ticker index and datetime64[D].
    fields : name to (n,) float64.
    is_bar : (n,) bool, the row has a close.
    on_edge : (n,) bool, the ticker's last bar, on a download edge.
    vouched_start, vouched_end : (K,) datetime64[D], where the ticker's bars are all there is; NaT where
        its file has no bars at all.
    basis, evidence : what the prices are, and how it is known.
    """

    paths: list[Path]
    names: np.ndarray
    first_file: np.ndarray
    code: np.ndarray
    session: np.ndarray
    fields: dict[str, np.ndarray]
    is_bar: np.ndarray
    on_edge: np.ndarray
    vouched_start: np.ndarray
    vouched_end: np.ndarray
    basis: Basis
    evidence: str

    @property
    def has_distributions(self) -> bool:
        """Whether the files have a column for distributions, of whatever kind."""
        return "dividend" in self.fields or "capital_gain" in self.fields


def build_pools(files: Sequence[FileBars], *, suffix: str, adjusted: bool | None) -> list[Pool]:
    """Files joined where they share tickers; those of one ticker each joined where they are of a kind.

    A basis needs events of many tickers to be seen, which a single ticker's file may not have.

    Parameters
    ----------
    suffix : added to every ticker.
    adjusted : as declared, None to infer.

    Raises
    ------
    SourceError
        A ticker is in files of different kinds, or the basis cannot be told.
    """
    return [_join(group, suffix, adjusted) for group in group_files(files)]


def group_files(files: Sequence[FileBars]) -> list[list[FileBars]]:
    """Files that must be judged together, in the order of their first file."""
    parent: dict[object, object] = {}

    def root(node: object) -> object:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    owner: dict[str, FileBars] = {}
    for file in files:
        kind = _signature(file)
        for name in file.names:
            other = owner.setdefault(name, file)
            if _signature(other) != kind:
                raise SourceError(
                    f"{name} is in {other.path} ({_describe(other)}) and in {file.path} "
                    f"({_describe(file)}), which cannot be joined; set path to one of them, or move one away"
                )
            parent[root((kind, name))] = root(file.path)
        if len(file.names) == 1:
            parent[root((kind, "one ticker each"))] = root(file.path)
    groups: dict[object, list[FileBars]] = {}
    for file in files:
        groups.setdefault(root(file.path), []).append(file)
    return list(groups.values())


def _signature(file: FileBars) -> Signature:
    fields = file.fields
    return "adj_close" in fields, "dividend" in fields or "capital_gain" in fields, "split" in fields


def _describe(file: FileBars) -> str:
    present = zip(("adjusted close", "distributions", "splits"), _signature(file), strict=True)
    return ", ".join(f"{'with' if has else 'without'} {what}" for what, has in present)


def _join(files: list[FileBars], suffix: str, adjusted: bool | None) -> Pool:
    names = sorted({name for file in files for name in file.names})
    position = {name: i for i, name in enumerate(names)}
    to_pool = [np.array([position[name] for name in file.names], dtype=np.int64) for file in files]
    code = np.concatenate([index[file.code] for index, file in zip(to_pool, files, strict=True)])
    session = np.concatenate([file.session for file in files])
    fields = sorted({field for file in files for field in file.fields})
    values = {
        field: np.concatenate([file.fields.get(field, np.full(len(file.code), np.nan)) for file in files])
        for field in fields
    }
    k = len(names)
    start, end, last = (np.full(k, np.datetime64("NaT"), dtype="datetime64[D]") for _ in range(3))
    first_file = np.full(k, len(files), dtype=np.int64)
    vouched = [_vouch(file) for file in files]
    for i, (index, said) in enumerate(zip(to_pool, vouched, strict=True)):
        start[index] = np.fmin(start[index], said.start)
        end[index] = np.fmax(end[index], said.end)
        last[index] = np.fmax(last[index], said.last)
        first_file[index] = np.minimum(first_file[index], i)
    # A ticker that goes on in another file (one file a year) has no edge where the first one stops.
    edge = np.zeros(k, dtype=bool)
    for index, said in zip(to_pool, vouched, strict=True):
        edge[index] |= said.on_edge & (said.last == last[index])

    if not _is_sorted(code, session):
        order = np.lexsort((session, code))
        code, session = code[order], session[order]
        values = {field: value[order] for field, value in values.items()}
    is_bar = ~np.isnan(values["close"])
    repeated = int(((code[1:] == code[:-1]) & (session[1:] == session[:-1])).sum())
    if repeated:
        log.warning("%s: %d rows repeat a ticker and session; passed on", files[0].path, repeated)
    where = str(files[0].path) if len(files) == 1 else f"{files[0].path} and {len(files) - 1} like it"
    basis, evidence = resolve_basis(gather_evidence(code, session, values), adjusted, where)
    log.info("%s: prices are %s (%s)", where, basis, evidence)
    return Pool(
        paths=[file.path for file in files],
        names=np.array([name + suffix for name in names], dtype=object),
        first_file=first_file,
        code=code,
        session=session,
        fields=values,
        is_bar=is_bar,
        on_edge=is_bar & edge[code] & (session == last[code]),
        vouched_start=start,
        vouched_end=end,
        basis=basis,
        evidence=evidence,
    )


def _vouch(file: FileBars) -> Vouched:
    bar = ~np.isnan(file.fields["close"])
    return vouch(file.code[bar], file.session[bar], len(file.names))


def _is_sorted(code: np.ndarray, session: np.ndarray) -> bool:
    step = np.diff(code)
    return bool(np.all((step > 0) | ((step == 0) & (np.diff(session) >= np.timedelta64(0, "D")))))
