"""Train a model on a Store: one MLflow run, one model folder.

A killed training resumes after its last epoch, in the same MLflow run, with the same result. Its state lies under the
fingerprint of configuration and Store. Only dev chooses: the epoch that is kept, the calibration, the thresholds.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline import cli, preprocess, tracking
from pipeline.common import files, provenance
from pipeline.config import SECTIONS, Config, artifacts_dir, fingerprint, option
from pipeline.metrics import calibration
from pipeline.network import imagenet
from pipeline.scoring import model_folders, model_writer
from pipeline.store.store import Store
from pipeline.training import bundle, checkpoint, host_augmentation, parent
from pipeline.training.data import Data, settle_target

STAGE_VERSION = 5
"""Raise it when a change of this stage changes the result of the same configuration."""


@dataclass(frozen=True)
class TrainOptions:
    """Data to train on."""

    store: str = option("", "folder of a Store; empty: preprocess the corpus first")


def train(config: Config, store_folder: Path) -> Path:
    """Return the model folder of a configuration on a Store; train it if it does not exist yet."""
    calibration.check_name(config.decision.operating_point)
    config = settle_target(imagenet.settle(config))
    store = Store.open(store_folder)
    start = parent.find(config)
    key = fingerprint(
        STAGE_VERSION,
        store.fingerprint,
        config.front_end,
        config.augment,
        host_augmentation.content(config.host),
        config.model,
        config.window,
        _fit(config, parent.checksum(start) if start else ""),
        *_encoder(config),
        *_initial(config),
        *([config.guard.guard, bool(config.guard.guard_store)] if config.guard.guard is not None else []),
    )
    version = f"{config.preset}-{key}"
    folder = artifacts_dir() / "models" / version
    state_file = artifacts_dir() / "training" / key / "state.npz"
    if folder.exists() and bundle.logged(trained := model_folders.ModelFolder.load(folder)):
        with tracking.run(version, stage="train", run_id=trained.run_id):
            print(f"already trained: {folder} (another --seed trains another model)")
            if trained.operating_point != config.decision.operating_point:
                _choose(trained, config.decision.operating_point)
        return folder

    from pipeline.training import devices

    # Before the imports that load TensorFlow, which reads its settings once.
    device = devices.prepare(config)
    from pipeline.training.finish import finish
    from pipeline.training.loop import fit

    data = Data.of(store, config)
    saved = checkpoint.load(state_file)
    known_run = saved[0].run_id if saved and tracking.exists(saved[0].run_id) else None
    name = tracking.model_name(config, store.name)
    tags = {"model_version": version, **tracking.tags(config, store)}
    if start:
        tags |= {"parent": start.model_version, "parent_sha256": parent.checksum(start)}
    with tracking.run(name, stage="train", run_id=known_run, tags=tags) as run:
        if known_run is None:
            log_start(config, data, device, key)
        # An alias may point elsewhere by now.
        fixed = config.replace(init=str(start.folder) if start else "")
        progress, weights = fit(fixed, data, device, run.info.run_id, state_file=state_file, saved=saved)
        finish(config, data, progress, weights, folder, version, key)
    return folder


def _fit(config: Config, init: str) -> dict[str, object]:
    """Options of the fit, with the checksum of the initial model in place of its name; ``target`` only if not label."""
    options = asdict(replace(config.train, init=init))
    return {name: value for name, value in options.items() if (name, value) != ("target", "label")}


def _encoder(config: Config) -> list[object]:
    """What the result depends on of a pretrained encoder: its contents in place of its folder, and no disk space."""
    if not config.has_encoder:
        return []
    from pipeline.network.encoders import load

    return [replace(config.encoder, encoder=load.source(config.encoder).digest, features_gb=0.0)]


def _initial(config: Config) -> list[str]:
    """SHA-256 of the file of initial weights, if they come from one: its path does not tell when it changes."""
    named = config.model.weights in ("none", "imagenet")
    return [] if named or not Path(config.model.weights).is_file() else [files.sha256(Path(config.model.weights))]


def _choose(trained: model_folders.ModelFolder, operating_point: str) -> None:
    """Change the default operating point of a trained model, on disk and in its run."""
    import mlflow

    model_writer.choose(trained, operating_point)
    mlflow.log_artifact(str(trained.folder / model_folders.INDEX), "bundle")
    print(f"default operating point: {operating_point} (was {trained.operating_point})")


def log_start(config: Config, data: Data, device: "devices.Device", key: str) -> None:  # noqa: F821
    """Log what a model is made from: configuration, Store, device, versions and command."""
    import mlflow

    tracking.log_config(config)
    facts = {
        "fingerprint": key,
        "store_folder": data.store.folder.name,
        "device": device.name,
        "precision": device.precision,
    }
    mlflow.log_params(facts | {f"version/{name}": value for name, value in provenance.versions().items()})
    mlflow.set_tag("command", provenance.command())
    tracking.log_inputs(data.store, ("train", "dev", "eval"))


@cli.command(sections=tuple(SECTIONS), options=TrainOptions)
def main(config: Config, options: TrainOptions) -> int:
    """Entry point ``train``; the evaluation on dev and eval ends it, in the same run."""
    from pipeline import evaluate

    store_folder = Path(options.store) if options.store else preprocess.ensure(config)
    folder = train(config, store_folder)
    report = evaluate.run(folder, store_folder)
    print(evaluate.table_text(report))
    print(f"model folder: {folder}\nreport: {report / 'report.html'}")
    return 0


if __name__ == "__main__":
    cli.run(main)
