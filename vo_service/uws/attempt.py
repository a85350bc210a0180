"""One attempt at a job: asked and written in a thread of its own, and stopped from outside."""

from __future__ import annotations

__all__ = ["Attempt", "Written"]

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from schemas.dali import Params, TableResult, Terms, Upload, parse_params
from schemas.errors import BusyError
from vo_service.mount import form_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from schemas.blocks import Block
    from schemas.dali import FileResult
    from schemas.jobs import Job
    from vo_service.mount import Mounted
    from vo_service.uws.files import JobFiles, Writing


@dataclass(frozen=True, slots=True)
class Written:
    """A result that is in its place, whole."""

    file: str
    media_type: str
    size: int
    rows: int | None = None
    overflowed: bool | None = None


class Attempt:
    """The work of a job, as a sync request does it, into a file.

    Parameters
    ----------
    job
        With the attempt's number.
    mounted
        What answers it.
    files
        Where its result goes.
    base_url
        Of the service.
    result_bytes
        Of the result at most.

    Attributes
    ----------
    done
        Set when nothing of it goes on any more.
    written, error
        What came of it: one of both, once it is done.
    """

    def __init__(
        self, job: Job, mounted: Mounted, files: JobFiles, *, base_url: str, result_bytes: int
    ) -> None:
        self.job, self._mounted, self._files = job, mounted, files
        self._base_url, self._result_bytes = base_url, result_bytes
        self.done = threading.Event()
        self.written: Written | None = None
        self.error: BaseException | None = None
        self.begun = time.monotonic()
        self._stopped = threading.Event()
        self._cancel: Callable[[], None] | None = None
        self._cancelling = threading.Lock()
        self._broken: Exception | None = None
        self._rows = 0

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self.begun

    def start(self) -> None:
        """Begin; returns at once."""
        context = copy_context()
        threading.Thread(
            target=context.run, args=(self._work,), name=f"job-{self.job.number}", daemon=True
        ).start()

    def stop(self) -> None:
        """Cancel what runs in the database, and write no further; may be called repeatedly."""
        self._stopped.set()
        # while it is held the connection cannot become another's
        with self._cancelling:
            if self._cancel is not None:
                # The connection may be gone: then so is what ran on it.
                with suppress(Exception):
                    self._cancel()

    def _work(self) -> None:
        try:
            self.written = self._answer()
        except BaseException as error:  # noqa: BLE001  # the edge of a job: told by the runner
            self.error = error
        finally:
            self._ended()
            self.done.set()

    def _begin(self, cancel: Callable[[], None]) -> None:
        with self._cancelling:
            self._cancel = cancel
        self._check()

    def _ended(self) -> None:
        with self._cancelling:
            self._cancel = None

    def _check(self) -> None:
        if self._stopped.is_set():
            message = "the job was stopped"
            raise BusyError(message)

    def _answer(self) -> Written:
        job, protocol = self.job, self._mounted.protocol
        params = parse_params(protocol.params, [(name, text) for name, text in job.parameters])
        form, mime = form_of(protocol, params)
        left_s = max(job.execution_duration - self.seconds, 0.1)
        terms = Terms(
            transport=form.transport,
            uploads=self._uploads(),
            timeout_s=left_s,
            make_budget_s=left_s,
            begun=self._begin,
            ended=self._ended,
            is_wanted=lambda: not self._stopped.is_set(),
        )
        result = self._ask(params, terms)
        if isinstance(result, TableResult):
            return self._write_table(result, form.write, form.suffix, mime)
        return self._write_file(result)

    def _ask(self, params: Params, terms: Terms) -> TableResult | FileResult:
        result = self._mounted.run(params, terms)
        try:
            self._check()
        except BaseException:
            result.close()
            raise
        return result

    def _uploads(self) -> dict[str, Upload]:
        uploads = {}
        for kept in self.job.uploads:
            path = self._files.path(self.job.job_id, kept["file"])
            uploads[kept["name"]] = Upload(kept["name"], kept["media_type"], partial(_open, path))
        return uploads

    def _write_table(
        self,
        result: TableResult,
        write: Callable[[TableResult, str], Iterator[bytes]],
        suffix: str,
        mime: str,
    ) -> Written:
        result.rows = self._watched(result.rows)
        try:
            file, size = self._put(write(result, self._base_url), suffix)
            return Written(file, mime, size, self._rows, bool(result.overflowed()))
        finally:
            result.close()

    def _write_file(self, result: FileResult) -> Written:
        suffix = result.filename.rpartition(".")[2] or "dat"
        try:
            file, size = self._put(result.blocks, suffix if suffix.isalnum() else "dat")
            return Written(file, result.media_type, size)
        finally:
            result.close()

    def _watched(self, rows: Iterator[Any]) -> Iterator[Sequence[tuple[Any, ...]] | Block]:
        """The rows, counted; a failure among them is remembered: writers may end it in order."""
        try:
            for block in rows:
                self._check()
                self._rows += len(block) if isinstance(block, Sequence) else block.length
                yield block
        except Exception as error:
            self._broken = error
            raise

    def _put(self, pieces: Iterator[bytes], suffix: str) -> tuple[str, int]:
        job = self.job
        writing = self._files.write(job.job_id, job.attempts, suffix, self._result_bytes)
        try:
            self._fill(writing, pieces)
        except BaseException:
            writing.drop()
            raise
        return writing.path.name, writing.size

    def _fill(self, writing: Writing, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self._check()
            writing.write(piece)
        if self._broken is not None:
            raise self._broken
        self._check()
        writing.keep()


def _open(path: Path) -> BinaryIO:
    return path.open("rb")
