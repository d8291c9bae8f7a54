"""The models that are served: the newest version of each folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor

from absl import logging

from modeling.errors import UserError
from modeling.serving.batching import (
    Batcher,
    BatchOptions,
    BatchReport,
    Pending,
)
from modeling.serving.limits import RequestRefused
from modeling.serving.model import Model
from modeling.serving.rest import Query

# The file that makes a folder a SavedModel.
_GRAPH = "saved_model.pb"
_VERSION = re.compile(r"[0-9]{1,18}")


def find_models(directory: str) -> dict[str, dict[int, str]]:
    """Name -> version -> folder.

    Args:
      directory: <directory>/<name>/<version>, or that of one model,
        <directory>/<version>.

    Raises:
      UserError: there is no such directory, or one that cannot be read.
    """
    if not os.path.isdir(directory):
        raise UserError(
            f"There is no directory {directory}. --model_dir takes the "
            "--export_dir of export_model.py."
        )
    try:
        versions = _versions(directory)
        if versions:
            return {os.path.basename(os.path.abspath(directory)): versions}
        names = sorted(n for n in os.listdir(directory) if n[0] != ".")
    except OSError as error:
        raise UserError(
            f"{error.filename} cannot be read: {error.strerror}. --model_dir "
            "must hold exported models, NAME/VERSION, that may be read."
        ) from error
    found = {}
    for name in names:
        # Beside models stands what others may not read, such as lost+found.
        with contextlib.suppress(PermissionError):
            found[name] = _versions(os.path.join(directory, name))
    return {name: versions for name, versions in found.items() if versions}


def _versions(directory: str) -> dict[int, str]:
    names = os.listdir(directory) if os.path.isdir(directory) else []
    folders = {
        int(name): os.path.join(directory, name)
        for name in names
        if _VERSION.fullmatch(name)
    }
    return {
        version: folder
        for version, folder in folders.items()
        if os.path.exists(os.path.join(folder, _GRAPH))
    }


class Served:
    """A version that answers.

    Attributes:
      name: of the model.
      version: its number.
      model: loaded.
    """

    def __init__(
        self,
        name: str,
        version: int,
        model: Model,
        batchers: dict[str, Batcher],
    ) -> None:
        self.name, self.version, self.model = name, version, model
        self._batchers = batchers

    @property
    def queue(self) -> int:
        """Rows that wait."""
        return sum(batcher.queue for batcher in self._batchers.values())

    def submit(self, query: Query) -> Pending:
        """Takes the rows of a request; raises `RequestRefused` for too many."""
        lengths = [self.model.length(query.signature, r) for r in query.rows]
        return self._batchers[query.signature].submit(query.rows, lengths)

    async def drain(self) -> None:
        """Waits until all that was submitted is answered."""
        for batcher in self._batchers.values():
            await batcher.drain()


class Repository:
    """Loads models and keeps up with their folders.

    A new version is loaded beside the old one, which answers until then and
    afterwards what it was asked before.

    Args:
      directory: see `find_models`.
      options: of the batches.
      observe: told of every batch, with the model's name.
      executor: computes; None: one thread, since TensorFlow spreads a batch
        over the cores.
      load: folder -> model.
    """

    def __init__(
        self,
        directory: str,
        options: BatchOptions,
        observe: Callable[[str, BatchReport], None],
        executor: Executor | None = None,
        load: Callable[[str], Model] = Model.load,
    ) -> None:
        self._directory, self._options = directory, options
        self._observe, self._load = observe, load
        self._executor = executor or ThreadPoolExecutor(1, "batches")
        self._served: dict[str, Served] = {}
        # What a folder looked like when it was last seen, or could not be
        # loaded: while it is being copied it changes.
        self._seen: dict[str, object] = {}
        self._failed: dict[str, object] = {}
        self._old: set[asyncio.Task[None]] = set()

    @property
    def served(self) -> Iterable[Served]:
        return self._served.values()

    def get(self, name: str, version: int | str | None = None) -> Served:
        """A version, the one that is served if None.

        Args:
          name: of the model.
          version: its number, or what a client says in its place.

        Raises:
          RequestRefused: there is none.
        """
        served = self._served.get(name)
        if served is None:
            known = ", ".join(self._served)
            raise RequestRefused(
                404, f"No model {name[:100]!r}; there are: {known}"
            )
        if version is not None and str(version) != str(served.version):
            raise RequestRefused(
                404,
                f"Of {name} version {served.version} is served. Received: "
                f"{str(version)[:100]}",
            )
        return served

    async def start(self) -> None:
        """Loads the newest version of every model, or the newest whole one.

        Raises:
          UserError: there is no model, or one that cannot be loaded.
        """
        for name, versions in find_models(self._directory).items():
            told = []
            for version in sorted(versions, reverse=True):
                folder = versions[version]
                looks = _looks(folder)
                try:
                    await self._take_over(name, version, folder)
                    break
                except Exception as error:
                    self._failed[folder] = looks
                    told.append(f"{folder} cannot be loaded: {error}")
                    logging.error(told[-1])
            else:
                raise UserError(told[0])
        if not self._served:
            raise UserError(
                f"{self._directory} has no models: NAME/VERSION/{_GRAPH}, as "
                "export_model.py writes them."
            )

    async def watch(self, seconds: float) -> None:
        """Follows the folders until it is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.refresh()
            except Exception as error:
                # Of the disk, for one; what is loaded goes on.
                logging.error(
                    "New versions cannot be looked for: %s: %s",
                    type(error).__name__,
                    error,
                )

    async def refresh(self) -> None:
        """Loads what is newest now, where it is not what is served.

        A folder is loaded when it is seen for the second time as it is: it may
        be being copied.
        """
        for name, versions in find_models(self._directory).items():
            await self._follow(name, versions)

    async def _follow(self, name: str, versions: dict[int, str]) -> None:
        """Takes over the newest version that can be loaded."""
        current = self._served.get(name)
        for version in sorted(versions, reverse=True):
            if current is not None and current.version == version:
                return
            folder = versions[version]
            looks = _looks(folder)
            if self._failed.get(folder) == looks:
                continue
            settled = self._seen.get(folder) == looks
            self._seen[folder] = looks
            if not settled:
                return
            try:
                await self._take_over(name, version, folder)
                return
            except Exception as error:
                logging.error("%s cannot be loaded: %s", folder, error)
                self._failed[folder] = looks

    async def close(self) -> None:
        """Answers what was asked, and ends."""
        for served in self.served:
            await served.drain()
        await asyncio.gather(*self._old)
        self._executor.shutdown()

    async def _take_over(self, name: str, version: int, folder: str) -> None:
        logging.info("Loading %s", folder)
        model = await asyncio.to_thread(self._load, folder)
        batchers = {
            signature: Batcher(
                lambda rows, signature=signature: model.compute(
                    signature, rows
                ),
                self._options,
                self._executor,
                lambda report: self._observe(name, report),
            )
            for signature in model.signatures
        }
        old = self._served.get(name)
        self._served[name] = Served(name, version, model, batchers)
        logging.info("%s version %d is served", name, version)
        if old is not None:
            task = asyncio.create_task(old.drain())
            self._old.add(task)
            task.add_done_callback(self._old.discard)


def _looks(folder: str) -> object:
    """Sizes and times of all files that stay while they are looked at."""
    found = []
    for parent, _, names in sorted(os.walk(folder)):
        for path in (os.path.join(parent, name) for name in sorted(names)):
            with contextlib.suppress(FileNotFoundError):
                known = os.stat(path)
                found.append((path, known.st_size, known.st_mtime_ns))
    return found
