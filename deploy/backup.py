"""Backup and restore of the models, the request log and MLflow's runs, while the service runs. Needs only the standard library.

    sudo python3 deploy/backup.py save /var/backups/stock-forecast.tar.gz
    sudo python3 deploy/backup.py restore /var/backups/stock-forecast.tar.gz

A part that does not exist is skipped. SQLite databases are copied with SQLite's backup API, models under the lock of publication, so each
part is consistent. Restoring replaces the parts that the file contains; stop the service first. Settings and API keys are not included.
"""

import argparse
import fcntl
import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

PROJECT_DIR = Path(__file__).resolve().parent.parent
LOG = Path("/var/log/stock-forecast-service/log_predictions.csv")
EXIT_INTERRUPTED = 130
SQLITE_HEADER = b"SQLite format 3\x00"
SQLITE_EXTRAS = ("-wal", "-shm", "-journal")  # belong to a running process; the copy needs none


class BackupError(Exception):
    """A sentence for the user: what is wrong and what to do."""


def _lock(stack: ExitStack, path: Path) -> IO[bytes]:
    """Open a file and hold its lock until the stack closes."""
    file = stack.enter_context(path.open("ab"))
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _add_models(archive: tarfile.TarFile, folder: Path) -> None:
    """Add all versions. The lock of each model folder keeps trainings from publishing meanwhile."""
    with ExitStack() as stack:
        for versions in sorted(folder.glob("**/versions")):
            _lock(stack, versions.parent / ".lock")
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and not any(part.startswith(".") for part in name.parts):
                archive.add(path, f"models/{name}")


def _add_log(archive: tarfile.TarFile, log: Path) -> None:
    """Add the log and its older parts. They are opened under the log's lock, so none is renamed meanwhile."""
    with ExitStack() as stack:
        with ExitStack() as locks:
            _lock(locks, log)
            files = {path.name: stack.enter_context(path.open("rb")) for path in log.parent.glob(f"{log.name}*")}
        for name, file in sorted(files.items()):
            info = archive.gettarinfo(fileobj=file, arcname=f"log/{log.name}{name.removeprefix(log.name)}")
            archive.addfile(info, file)


def _add_runs(archive: tarfile.TarFile, folder: Path) -> None:
    """Add MLflow's artifacts, and a consistent copy of each SQLite database."""
    for path in sorted(folder.rglob("*")):
        name = f"mlruns/{path.relative_to(folder)}"
        if not path.is_file() or path.name.endswith(SQLITE_EXTRAS):
            continue
        with path.open("rb") as file:
            is_database = file.read(len(SQLITE_HEADER)) == SQLITE_HEADER
        if not is_database:
            archive.add(path, name)
            continue
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary) / path.name
            with closing(sqlite3.connect(path, timeout=60)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            archive.add(copy, name)


def save(file: Path, models: Path, log: Path, mlruns: Path) -> None:
    """Write a backup. It replaces `file` only if it is complete; only its owner can read it."""
    unfinished = file.with_name(f".{file.name}.tmp")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            with tarfile.open(fileobj=output, mode="w:gz", compresslevel=6) as archive:
                for part, path, add in (("models", models, _add_models), ("log", log, _add_log), ("mlruns", mlruns, _add_runs)):
                    if path.exists():
                        add(archive, path)
                        print(f"saved    {part}: {path}")
                    else:
                        print(f"skipped  {part}: {path} does not exist")
            os.fsync(output.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Extract the files of a backup. Names that leave the folder, links and devices are refused."""
    for member in archive:
        parts = Path(member.name).parts
        if not member.isfile() or member.name.startswith("/") or ".." in parts or parts[0] not in ("models", "log", "mlruns"):
            raise BackupError(f"{member.name} does not belong in a backup. Nothing was changed")
        content = archive.extractfile(member)
        target = folder / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as output:
            shutil.copyfileobj(content, output)  # type: ignore[arg-type]  # a file has content
        target.chmod(member.mode & 0o777)


def _give_to_owner_of(sample: Path, folder: Path) -> None:
    """Give a folder and its files to the user who owns `sample`, and to its group."""
    owner = sample.stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def _replace_folder(new: Path, target: Path) -> None:
    """Put a folder in the place of another. The old one exists until the new one is complete."""
    arriving, leaving = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    for path in (arriving, leaving):
        shutil.rmtree(path, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(new, arriving)
    _give_to_owner_of(target if target.exists() else target.parent, arriving)
    if target.exists():
        target.rename(leaving)
    arriving.rename(target)
    shutil.rmtree(leaving, ignore_errors=True)


def _replace_log(new: Path, log: Path) -> None:
    """Put the saved log and its older parts in the place of the present ones."""
    log.parent.mkdir(parents=True, exist_ok=True)
    _give_to_owner_of(log if log.exists() else log.parent, new)
    present = set(log.parent.glob(f"{log.name}*"))
    for path in new.iterdir():
        # The backup may come from a log of another name.
        suffix = path.name[path.name.index(".csv") + len(".csv") :] if ".csv" in path.name else ""
        target = log.with_name(log.name + suffix)
        arriving = log.with_name(f".{target.name}.new")
        shutil.copy2(path, arriving)
        _give_to_owner_of(path, arriving)
        arriving.replace(target)
        present.discard(target)
    for path in present:
        path.unlink()


def restore(file: Path, models: Path, log: Path, mlruns: Path) -> None:
    """Replace the parts that a backup contains. A damaged file changes nothing."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with tarfile.open(file, "r:gz") as archive:
            _extract(archive, folder)
        for part, path in (("models", models), ("log", log), ("mlruns", mlruns)):
            if not (folder / part).is_dir():
                print(f"skipped  {part}: not in the backup")
                continue
            if part == "log":
                _replace_log(folder / part, path)
            else:
                _replace_folder(folder / part, path)
            print(f"restored {part}: {path}")


def main() -> None:
    """Run the command that was given."""
    parser = argparse.ArgumentParser(description="Backup and restore of the models, the request log and MLflow's runs.")
    parser.add_argument("command", choices=["save", "restore"])
    parser.add_argument("file", type=Path, help="the backup, for example /var/backups/stock-forecast.tar.gz")
    parser.add_argument("--models", type=Path, default=PROJECT_DIR / "modelFiles", help="MODEL_DIR (default: %(default)s)")
    parser.add_argument("--log", type=Path, default=LOG, help="REQUEST_LOG (default: %(default)s)")
    parser.add_argument("--mlruns", type=Path, default=PROJECT_DIR / "mlruns", help="folder of mlflow.db (default: %(default)s)")
    given = parser.parse_args()
    run = save if given.command == "save" else restore
    try:
        run(given.file, given.models, given.log, given.mlruns)
    except PermissionError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}. Run this as root: sudo python3 deploy/backup.py ...")
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
    except (EOFError, tarfile.TarError, sqlite3.Error, BackupError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
