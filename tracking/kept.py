"""A training run, saved in a folder until MLflow has it.

    kept = keep(record, place)      place/<model_version>/: the model's files, plots/*.png and run.json
    record = read_kept(kept)

So a run is not lost if MLflow rejects it, or if the training is killed while the run is logged.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from closes.series import Floats
from errors import ForecastError
from forecast.metadata import Metadata, describe_problems
from models.store import METADATA_FILE, VERSION, problems_of
from storage import flush_folder, remove_stale, sha256
from tracking.names import MODEL_FILES

UNLOGGED = "unlogged"  # folder of the runs that MLflow has not accepted yet
PLOTS, RUN_FILE = "plots", "run.json"
PREFIX = ".keeping-"  # of a folder that is not whole yet


class UnfitRecordError(ForecastError):
    """A folder has no complete run."""


@dataclass(frozen=True)
class RunRecord:
    """The results of a training run.

    Attributes:
        metadata: of the model, as published.
        losses: for each curve (loss, val_loss) its value after each epoch.
        plots: the content of PNG files by their names.
        folder: where MODEL_FILES are.
        example: (1, 60) float64 closes, an input of the model.
        parent_run_id: MLflow run of the training of many symbols that the run is a part of. Its model is not registered.
    """

    metadata: Metadata
    losses: dict[str, list[float]]
    plots: dict[str, bytes]
    folder: Path
    example: Floats
    parent_run_id: str | None = None

    @property
    def version(self) -> str:
        """The model's version."""
        return self.metadata.model_version


def keep(record: RunRecord, place: Path) -> Path:
    """Save a run completely, or not at all, in a new folder in `place`. Return the folder.

    Raises:
        OSError: a full disk, a folder that may not be written.
    """
    place.mkdir(parents=True, exist_ok=True)
    remove_stale(place, PREFIX)
    temporary = Path(tempfile.mkdtemp(dir=place, prefix=PREFIX))
    try:
        temporary.chmod(0o755)  # mkdtemp gives 0700; another user may log it
        (temporary / PLOTS).mkdir()
        for name in MODEL_FILES:
            shutil.copyfile(record.folder / name, temporary / name)
        for name, content in record.plots.items():
            (temporary / PLOTS / name).write_bytes(content)
        sums = {str(path.relative_to(temporary)): sha256(path) for path in sorted(temporary.rglob("*")) if path.is_file()}
        run = {"losses": record.losses, "example": record.example.tolist(), "parent": record.parent_run_id, "files": sums}
        (temporary / RUN_FILE).write_text(json.dumps(run) + "\n")
        for folder in (temporary / PLOTS, temporary):
            flush_folder(folder)
        return temporary.rename(place / record.version)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_kept(folder: Path) -> RunRecord:
    """Return the run that is saved in a folder.

    Raises:
        UnfitRecordError: there is none, or it is not as it was kept.
    """
    try:
        run = json.loads((folder / RUN_FILE).read_bytes())
        problems = problems_of(folder, run["files"], only=sorted({*MODEL_FILES, *run["files"]}))
        losses, example = dict(run["losses"]), np.array(run["example"], np.float64)
    except OSError as error:
        reason = f"{RUN_FILE}: {error.strerror}; a run that was logged is removed"
        raise UnfitRecordError(f"{folder} holds no run that was kept for MLflow.", [reason]) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UnfitRecordError(f"{folder} holds no run that was kept for MLflow.", [f"{RUN_FILE}: {error}"]) from None
    if problems:
        raise UnfitRecordError(f"The run in {folder} is not as it was kept; it is not logged.", problems)
    plots = {path.name: path.read_bytes() for path in sorted((folder / PLOTS).glob("*.png"))}
    try:
        metadata = Metadata.model_validate_json((folder / METADATA_FILE).read_bytes())
    except ValidationError as error:
        raise UnfitRecordError(f"{folder} has no complete run.", describe_problems(error)) from None
    record = RunRecord(metadata, losses, plots, folder, example, run.get("parent"))
    if not VERSION.fullmatch(record.version):
        raise UnfitRecordError(f"The run in {folder} is not as it was kept; it is not logged.", [f"{record.version[:40]!r} is no version"])
    return record
