"""Progress of a long download: a bar on a terminal, one log line a batch elsewhere."""

from __future__ import annotations

import logging
from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)


class BatchProgress:
    """Counts tickers and their statuses; use as a context manager.

    Parameters
    ----------
    total : tickers to come.
    show : False for neither bar nor log lines.
    console : where to draw; stderr by default. Only a terminal gets the bar.
    """

    def __init__(self, total: int, *, show: bool, console: Console | None = None) -> None:
        self._total, self._show, self._done = total, show, 0
        self._statuses: Counter[str] = Counter()
        console = console or Console(stderr=True)
        self._bar = (
            Progress(
                TextColumn("yahoo"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[statuses]}"),
                console=console,
            )
            if show and console.is_terminal and total
            else None
        )

    def __enter__(self) -> BatchProgress:
        if self._bar is not None:
            self._task = self._bar.add_task("yahoo", total=self._total, statuses="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def ticker_done(self, status: str) -> None:
        """One ticker has its answer."""
        self._statuses[status] += 1
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, statuses=self.summary())

    def batch_done(self, number: int, batches: int) -> None:
        """One batch is complete."""
        if self._show and self._bar is None:
            logger.info(
                "yahoo: batch %d of %d, %d of %d tickers: %s",
                number,
                batches,
                self._done,
                self._total,
                self.summary(),
            )

    def summary(self) -> str:
        """The statuses so far, such as "57 ok, 2 no_such_symbol"."""
        return ", ".join(f"{count} {status}" for status, count in self._statuses.most_common())
