"""Writing of model folders: new ones, ones that differ from another, and another default operating point."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.common import files
from pipeline.metrics.fusion import Fusion
from pipeline.scoring import dev_table, familiarity, source_tracing
from pipeline.scoring.model_folders import EMPTY, FORMAT, INDEX, KERAS, LITERT, PLAIN, ModelFolder, check


def write(
    folder: Path,
    *,
    litert: Path | None = None,
    keras: Path | None = None,
    dev: "pd.DataFrame | None" = None,  # noqa: F821
    usual: familiarity.Usual | None = None,
    attacks: source_tracing.KnownAttacks | None = None,
    fusion: Fusion | None = None,
    **values,
) -> ModelFolder:
    """Write a model folder, whole or not at all, and read it again.

    Parameters
    ----------
    litert, keras : files to copy; the first scores, the second is for fine-tuning and inspection. A folder without
        the first has to be unpacked before it scores (``pipeline.unpack``).
    dev : dev trials, columns ``dev_table.COLUMNS``.
    usual, attacks : what familiarity is measured by, and the attacks that the model tells apart.
    fusion : how the model was made of others.
    values : the other fields of ``ModelFolder``.
    """
    folder = Path(folder)
    with files.whole_folder(folder) as unfinished:
        if litert:
            shutil.copyfile(litert, unfinished / LITERT)
        if keras:
            shutil.copyfile(keras, unfinished / KERAS)
        if dev is not None:
            dev_table.write(unfinished / dev_table.FILE, dev)
        if usual is not None:
            usual.save(unfinished / familiarity.FILE)
        if attacks is not None:
            attacks.save(unfinished / source_tracing.FILE)
        _write_index(unfinished, {**values, "fusion": fusion})
    return ModelFolder.load(folder)


def derive(
    model: ModelFolder, folder: Path, added: Mapping[str, Path], *, without: Sequence[str] = (), **changed
) -> ModelFolder:
    """Write a model folder that differs from another, whole or not at all, and read it again.

    Parameters
    ----------
    added : files to copy, by their names in the folder; they replace those of ``model``.
    without : names of files to leave out.
    changed : fields of ``ModelFolder`` with other values.
    """
    values = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)} | changed
    with files.whole_folder(Path(folder)) as unfinished:
        kept = {name: model.folder / name for name in model.sha256 if name not in without}
        if KERAS in kept and KERAS not in added:
            check(kept[KERAS], model.sha256[KERAS])  # reading the folder did not
        for name, path in (kept | dict(added)).items():
            shutil.copyfile(path, unfinished / name)
        _write_index(unfinished, values)
    return ModelFolder.load(folder)


def _write_index(folder: Path, values: Mapping[str, object]) -> None:
    """Write the index of the files in a folder, from the fields of ``ModelFolder``."""
    index = {
        "format": FORMAT,
        **{name: values[name] for name in PLAIN},
        "calibration": dataclasses.asdict(values["calibration"]),
        "operating_points": {name: point.stored() for name, point in values["operating_points"].items()},
        "config": values["config"].flat(),
        **{name: values.get(name, "") for name in EMPTY},
        **{name: dataclasses.asdict(values[name]) for name in ("fusion", "segments") if values.get(name)},
        "sha256": {path.name: files.sha256(path) for path in sorted(folder.iterdir())},
    }
    files.write_sealed(folder / INDEX, index)


def choose(model: ModelFolder, operating_point: str) -> ModelFolder:
    """Make another operating point the default of a model folder."""
    points = model.operating_points | {operating_point: model.point(operating_point)}
    path = model.folder / INDEX
    index = files.read_sealed(path)
    index |= {
        "operating_point": operating_point,
        "operating_points": {name: point.stored() for name, point in points.items()},
        "config": index["config"] | {"operating_point": operating_point},
    }
    files.write_sealed(path, index)
    return ModelFolder.load(model.folder)
