"""A SQLite file of MLflow that was moved or copied with its artifacts: its absolute paths are changed to the new place.

    repoint(Path("mlruns/mlflow.db"), "stock-forecast")

MLflow stores absolute paths: where the runs of an experiment go, and where the artifacts of each run, logged model and version of a
registered model are. In a copy they still lead to the original. Only paths to artifacts that exist next to the file are changed.
"""

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

ARTIFACTS = "artifacts"  # folder next to the SQLite file
COLUMNS = (  # that have paths: table, column
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),  # of an MLflow before 3.0
)
# The folder of all artifacts, the folder in it of a run or of a logged model, and a file there. A path without `file:` is of an old MLflow.
PLACE = re.compile(r"((?:file:|/).*?/artifacts)/((?:[0-9a-f]{32}|models/m-[0-9a-f]{32})/artifacts)((?:/.*)?)")
FOLDER = re.compile(r"(?:file:|/).*/artifacts")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """A path to be changed.

    Attributes:
        table, column, row: where it is in the database.
        before, after: the path.
        is_there: whether the artifacts are in the new place.
    """

    table: str
    column: str
    row: int
    before: str
    after: str
    is_there: bool = True


def repoint(database: Path, experiment: str, wait_seconds: float = 0.0) -> None:
    """Change the paths of a SQLite file that was moved or copied, all or none, and log that. Without a move it only reads.

    Runs of the experiment go to the folder `artifacts` next to the file from now on. The caller has the folder's lock.

    Args:
        database: the SQLite file; it need not exist.
        experiment: name of the experiment of the trainings.
        wait_seconds: how long to wait for a locked file.

    Raises:
        sqlite3.Error: the file is locked, read-only or not a database.
    """
    if not database.is_file():
        return
    artifacts = database.parent / ARTIFACTS
    with closing(sqlite3.connect(database, timeout=wait_seconds, isolation_level=None)) as connection:
        left = list(_elsewhere(connection, artifacts))
        moved = [change for change in left if change.is_there]
        changes = [*_of_experiment(connection, artifacts, experiment), *moved]
        if changes:
            _apply(connection, changes)
    if left and not artifacts.exists():
        log.warning("MLflow's database was moved or copied without its artifacts. To load earlier models, copy %s to %s.",
                    _folder_of(left[0].before), artifacts)  # fmt: skip
    elif changes:
        stay = f"; {len(left) - len(moved)} unchanged, as their artifacts are not there" if len(left) > len(moved) else ""
        log.info("MLflow's database was moved or copied. Its artifacts are now in %s (paths changed: %d%s).", artifacts, len(changes), stay)


def _elsewhere(connection: sqlite3.Connection, artifacts: Path) -> Iterator[Change]:
    """Yield each path to artifacts in another folder, with the path to the same artifacts in this one."""
    here = artifacts.as_uri()

    @cache
    def is_here(folder: str) -> bool:
        return _is_same(_path(folder), artifacts)

    for table, column in COLUMNS:
        for row, before in _paths(connection, table, column, f"{here}/"):
            place = PLACE.fullmatch(before)
            if place and not is_here(place[1]):
                yield Change(table, column, row, before, f"{here}/{place[2]}{place[3]}", (artifacts / place[2]).exists())


def _of_experiment(connection: sqlite3.Connection, artifacts: Path, name: str) -> Iterator[Change]:
    """Yield the change of the folder in which new runs are stored, if that is another folder called `artifacts`."""
    for row, before in _paths(connection, "experiments", "artifact_location", artifacts.as_uri()):
        if FOLDER.fullmatch(before) and not _is_same(_path(before), artifacts):
            ((found,),) = connection.execute("SELECT name FROM experiments WHERE rowid = ?", (row,))
            if found == name:
                yield Change("experiments", "artifact_location", row, before, artifacts.as_uri())


def _paths(connection: sqlite3.Connection, table: str, column: str, here: str) -> list[tuple[int, str]]:
    """Return the row and the text of each absolute path that does not begin with `here`. Older databases lack some tables and columns."""
    if column not in {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}:
        return []
    query = f"SELECT rowid, {column} FROM {table} WHERE substr({column}, 1, ?) != ? AND ({column} LIKE 'file:%' OR {column} LIKE '/%')"  # noqa: S608
    return connection.execute(query, (len(here), here)).fetchall()


def _apply(connection: sqlite3.Connection, changes: list[Change]) -> None:
    """Make all changes in one transaction. A path that another program has changed meanwhile stays as it is."""
    connection.execute("BEGIN IMMEDIATE")
    for change in changes:
        statement = f"UPDATE {change.table} SET {change.column} = ? WHERE rowid = ? AND {change.column} = ?"  # noqa: S608
        connection.execute(statement, (change.after, change.row, change.before))
    connection.execute("COMMIT")


def _path(place: str) -> Path:
    """Return the path of a file URI, or of a path."""
    return Path(url2pathname(urlsplit(place).path) if place.startswith("file:") else place)


def _folder_of(place: str) -> Path:
    """Return the folder of all artifacts that a path leads into."""
    found = PLACE.fullmatch(place)
    return _path(found[1] if found else place)


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths are names of one folder, as with a symbolic link."""
    try:
        return one.samefile(other)
    except OSError:
        return False
