"""Fuse several models into one model folder, which scores like any other: one MLflow run, weights fitted on dev.

The network of the fusion holds the networks of its members. Its windows are as long as the longest of theirs; a member
with shorter windows scores those inside, and its logits are averaged. The members must have the same dev trials.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import cli, preprocess, tracking, train
from pipeline.config import (
    FUSION,
    Config,
    HostAugmentConfig,
    ModelConfig,
    TrainConfig,
    artifacts_dir,
    fingerprint,
    option,
)
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.metrics import fusion
from pipeline.metrics.fusion import Fusion
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store
from pipeline.training import bundle

STAGE_VERSION = 1
"""Raise it when a change of this stage changes the result of the same members."""
WAYS = ("logistic", "mean", "weights")
COMMON = ("corpus", "audio", "front_end", "window", "decision")
"""Sections that a weighted sum takes over; of the front end the page draws its spectrograms."""
ONE_ARCHITECTURE = ("front_end", "model", "encoder", "window")
"""Sections of the configuration in which models whose weights are averaged agree."""


@dataclass(frozen=True)
class FuseOptions:
    """Models to fuse, and how."""

    models: str = option("", "models to fuse, comma separated: model folders, runs:/ID or models:/NAME@ALIAS")
    by: str = option(
        "logistic",
        "logistic: sum of the calibrated scores with weights fitted on dev, mean: with equal weights, weights: mean of "
        "the weights of models of one architecture, such as those trained on from one --init",
        choices=WAYS,
    )
    store: str = option(
        "", "folder of the Store that the models were trained on; empty: that of the first one's corpus"
    )


def fuse(models: Sequence[ModelFolder], store_folder: Path, by: str = "logistic") -> Path:
    """Return the model folder of a fusion; make it if it does not exist yet.

    Raises ``ConfigError`` for models that do not fit together or whose dev trials are not those of the Store.
    """
    store = Store.open(store_folder)
    check(models, store, by)
    config = _config(models, by)
    key = fingerprint(STAGE_VERSION, by, store.fingerprint, [model.sha256 for model in models], _calibrations(models))
    version = f"{FUSION}-{key}"
    folder = artifacts_dir() / "models" / version
    if folder.exists() and bundle.logged(known := ModelFolder.load(folder)):
        with tracking.run(version, stage="fuse", run_id=known.run_id):
            print(f"already fused: {folder}")
        return folder

    from pipeline.training import devices

    # Before the imports that load TensorFlow, which reads its settings once.
    device = devices.prepare(config)
    import mlflow

    from pipeline.training import finish
    from pipeline.training.data import Data

    # Nothing is augmented, so the folders of own noises and rooms may have gone.
    data = Data.of(store, dataclasses.replace(config, host=HostAugmentConfig()))
    tags = {"model_version": version, **tracking.tags(config, store)}
    with tracking.run(f"{FUSION} of {' and '.join(m.model_version for m in models)}", stage="fuse", tags=tags) as run:
        train.log_start(config, data, device, key)
        network, made = _network(models, data, config, by)
        mlflow.log_params({"by": by, "members": ", ".join(made.members), "bias": made.bias})
        mlflow.log_metrics({f"weight/{name}": weight for name, weight in made.members.items()})
        written = finish.write(
            network, config, data, folder, version=version, key=key, run_id=run.info.run_id, fusion=made
        )
        finish.log(network, written)
    return folder


def check(models: Sequence[ModelFolder], store: Store, by: str) -> None:
    """Raise ``ConfigError`` or ``ModelFolderError`` for models that cannot be fused on a Store."""
    if len({model.model_version for model in models}) < max(2, len(models)):
        named = ", ".join(model.model_version for model in models)
        raise ConfigError(f"--models {named or 'none'}: a fusion needs at least two models, each named once")
    first = models[0]
    for model in models:
        if model.keras is None:
            raise ModelFolderError(f"{model.folder}: no {model_folders.KERAS}, which a fusion is made of; train again")
        if model.dev_trials != first.dev_trials:
            raise ConfigError(
                f"{first.model_version} and {model.model_version} have different dev trials, so their scores there do "
                "not compare; train both on one Store"
            )
        if model.config.train.leave_out != first.config.train.leave_out:
            raise ConfigError(
                f"--leave_out is {first.config.train.leave_out!r} in {first.model_version} and "
                f"{model.config.train.leave_out!r} in {model.model_version}; fuse models trained on the same attacks"
            )
        if by == "weights" and (difference := _difference(first.config, model.config)):
            name, own, other = difference
            raise ConfigError(
                f"--by weights: {name} is {own} in {first.model_version} and {other} in {model.model_version}; only "
                "models of one architecture have a mean; fuse others --by logistic or mean"
            )
    if store.trials("dev") != first.dev_trials:
        raise ConfigError(
            f"{store.folder}: its dev trials are not those of {first.model_version}; give the Store that the models "
            "were trained on with --store"
        )


def _difference(own: Config, other: Config) -> tuple[str, object, object] | None:
    """First option in which two architectures differ, and its values."""
    for section in ONE_ARCHITECTURE:
        theirs = dataclasses.asdict(getattr(other, section))
        for name, value in dataclasses.asdict(getattr(own, section)).items():
            if value != theirs[name]:
                return name, value, theirs[name]
    return None


def _config(models: Sequence[ModelFolder], by: str) -> Config:
    """Configuration of a fusion: what also holds for it of the first member with the longest windows."""
    longest = max(models, key=lambda model: model.clip_samples).config
    if by == "weights":
        return dataclasses.replace(longest, preset=FUSION)
    common = {section: getattr(longest, section) for section in COMMON}
    train = TrainConfig(leave_out=longest.train.leave_out)
    return Config(preset=FUSION, model=ModelConfig(backbone=FUSION), train=train, **common)


def _calibrations(models: Sequence[ModelFolder]) -> list[dict]:
    return [dataclasses.asdict(model.calibration) for model in models]


def _network(
    models: Sequence[ModelFolder],
    data: "Data",  # noqa: F821
    config: Config,
    by: str,
) -> tuple["keras.Model", Fusion]:  # noqa: F821
    """Network of a fusion, and what it is made of."""
    import keras
    import numpy as np

    from pipeline.network import fusion as network
    from pipeline.network import networks
    from pipeline.training.logits import utterance_logits

    keras.config.set_dtype_policy("float32")
    names = [model.model_version for model in models]
    loaded = [networks.load(model.keras) for model in models]
    weights, bias = np.full(len(models), 1 / len(models)), 0.0
    if by == "weights":
        return network.mean_of_weights(loaded, names), Fusion(by, dict(zip(names, weights.tolist(), strict=True)))
    members = [
        network.member(own, model.calibration, config.window.clip_samples, f"member_{number}")
        for number, (own, model) in enumerate(zip(loaded, models, strict=True), start=1)
    ]
    if by == "logistic":
        scores = [utterance_logits(own, data.store, data.dev, config) for own in members]
        weights, bias = fusion.fit(np.stack(scores, axis=1), data.bonafide[data.dev])
    made = Fusion(by, dict(zip(names, weights.tolist(), strict=True)), bias)
    return network.weighted_sum(members, weights, bias), made


@cli.command(options=FuseOptions)
def main(_: Config, options: FuseOptions) -> int:
    """Entry point ``fuse``; the evaluation on dev and eval ends it, in the same run."""
    from pipeline import evaluate

    named = [name.strip() for name in options.models.split(",") if name.strip()]
    models = [ModelFolder.load(model_folders.find(name)) for name in named]
    if not models:
        raise ConfigError("--models: name at least two models, comma separated")
    store_folder = Path(options.store) if options.store else preprocess.ensure(models[0].config)
    folder = fuse(models, store_folder, options.by)
    report = evaluate.run(folder, store_folder)
    print(evaluate.table_text(report))
    weights = "  ".join(f"{name} {weight:.3f}" for name, weight in ModelFolder.load(folder).fusion.members.items())
    print(f"weights: {weights}\nmodel folder: {folder}\nreport: {report / 'report.html'}")
    return 0


if __name__ == "__main__":
    cli.run(main)
