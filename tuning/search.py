"""Search with Optuna for the options with the best result on dev, then train and register the best configuration.

One MLflow run holds a nested run per trial, the figures and table of the study, the best configuration, and its
trainings beside those of the default parameters. Each trial is a process; the same command resumes a stopped search.
Eval is measured and chooses nothing.
"""

import sys
from pathlib import Path

if not __package__:  # `python tuning/search.py` puts this folder on the path instead of the project's
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from dataclasses import dataclass

import optuna

from pipeline import cli, preprocess, tracking
from pipeline.common import provenance
from pipeline.config import SECTIONS, Config, artifacts_dir, option
from pipeline.errors import ConfigError
from pipeline.network import imagenet
from pipeline.store.store import Store
from pipeline.training.data import settle_target
from tuning import results, study, workers
from tuning.objective import OBJECTIVES
from tuning.space import SPACE
from tuning.trial import Task

PRESET = "demo"


@dataclass(frozen=True)
class TuneOptions:
    """What to search, for how long, and where. ``--epochs`` are those of a trial, ``--seed`` is the search's."""

    params: str = option(
        "dropout,learning_rate,augment_strength",
        "options to vary, comma separated",
        choices=tuple(SPACE),
        several=True,
    )
    trials: int = option(20, "trials of the study at the end, complete or pruned; failed ones do not count", least=1)
    timeout_s: float = option(0.0, "start no trial later than this, in s; 0: no limit", least=0)
    objective: str = option(
        "eer",
        "figure on dev to optimise; eer: Cllr decides between equal EERs. Two figures, or one and latency "
        "(eer,latency), give a Pareto front without pruning; the first one chooses from it",
        choices=tuple(OBJECTIVES),
        several=True,
    )
    pruner: str = option(
        "halving",
        "rule that ends trials without promise early; halving: judges all from the first rung on, hyperband: spares "
        "some of them the early rungs, median: keeps the better half",
        choices=("halving", "hyperband", "median"),
    )
    no_pruning: bool = option(False, "train every trial to its end")
    storage: str = option(
        "",
        "URL of Optuna's storage, such as postgresql://USER@HOST/DATABASE (password: ~/.pgpass or $PGPASSWORD); "
        "empty: SQLite under artifacts/tuning",
    )
    study: str = option("", "name of the study; empty: made from the settings, so equal settings resume one study")
    workers: int = option(1, "trials at once on this machine", least=1)
    from_: str = option("", "study in the same storage whose best trials follow the default parameters")
    join: bool = option(False, "only run trials of --study, which the command of another machine leads")
    final_seeds: str = option(
        "0,1,2",
        "seeds of the trainings that compare the best configuration with the default one, comma separated; none: end "
        "with the search",
    )
    final_epochs: int = option(0, "most epochs of those trainings; 0: as preset and --config say", least=0)
    heartbeat_s: int = option(60, "heartbeat of a worker, in s; one silent for twice as long counts as dead", least=1)
    store: str = option("", "folder of a Store; empty: preprocess the corpus first")
    output: str = option("", "folder for figures, tables and best_params.yaml; empty: artifacts/tuning/STUDY")


def lead(config: Config, options: TuneOptions, store_folder: Path, final_epochs: int) -> Path:
    """Run a search from the first trial to the registered model; return its folder."""
    import mlflow

    from tuning import promotion, study_page

    store = Store.open(store_folder)
    settings = _settings(config, options, store)
    seeds = promotion.seeds(options.final_seeds)
    url = options.storage or study.default_storage()
    place = study.storage(url, options.heartbeat_s)
    warm_start = study.load(place, options.from_) if options.from_ else None
    own = study.create(place, options.study or settings.study_name(), settings)
    folder = Path(options.output) if options.output else artifacts_dir() / "tuning" / own.study_name
    known = own.user_attrs.get(study.RUN_ID)
    known = known if known and tracking.exists(known) else None
    tags = {"study": own.study_name, "preset": config.preset, "objective": options.objective}
    with tracking.run(f"tune {own.study_name}", stage="tune", run_id=known, tags=tags) as run:
        if known is None:
            tracking.log_config(config)
            # Not the names of the options: `mlflow run` has logged those as they were typed.
            mlflow.log_params({"varied": ",".join(settings.params), "pruned_by": settings.pruner})
            mlflow.log_params({"store_folder": store_folder.name, "epochs_of_final": final_epochs})
            tracking.log_inputs(store, ("train", "dev"))
            own.set_user_attr(study.RUN_ID, run.info.run_id)
        mlflow.set_tag("command", provenance.command())
        study.queue(own, warm_start)
        try:
            _run_trials(own, options, url, config, store_folder)
        finally:
            study_page.write(own, folder, final_epochs)
            mlflow.log_artifacts(str(folder))
            mlflow.log_metrics(results.metrics(own))
            mlflow.set_tag("mlflow.note.content", results.summary(own).replace("\n", "\n\n"))
        print(f"\n{results.summary(own)}\npage, figures, table and best_params.yaml: {folder}", flush=True)
        if seeds:
            promotion.promote(own, final_epochs, seeds, store_folder, folder)
    return folder


def join(options: TuneOptions, require_gpu: bool) -> None:
    """Run trials of a study that another command leads, on this machine's copy of the Store."""
    if not options.study or not options.storage:
        raise ConfigError("--join: name the study with --study and the storage that its machines share with --storage")
    tracking.check()
    own = study.load(study.storage(options.storage, options.heartbeat_s), options.study)
    settings = study.settings_of(own)
    store_folder = Path(options.store) if options.store else preprocess.ensure(settings.config)
    if (here := Store.open(store_folder).fingerprint) != settings.store:
        raise ConfigError(f"--store {store_folder}: its fingerprint is {here}, but the study's is {settings.store}")
    _run_trials(own, options, options.storage, settings.config.replace(require_gpu=require_gpu), store_folder)
    print(f"\n{results.summary(own)}")


def _settings(config: Config, options: TuneOptions, store: Store) -> study.Settings:
    params, objectives = (tuple(dict.fromkeys(names.split(","))) for names in (options.params, options.objective))
    if objectives == ("latency",):
        raise ConfigError("--objective latency: give a figure of merit beside it, as in eer,latency")
    # Optuna prunes for a single objective only.
    pruner = "none" if options.no_pruning or len(objectives) > 1 else options.pruner
    return study.Settings(config, params, objectives, pruner, store.fingerprint)


def _run_trials(own: optuna.Study, options: TuneOptions, url: str, config: Config, store_folder: Path) -> None:
    print(f"study {own.study_name}, {results.counts(own)}", flush=True)
    task = Task(
        storage=url,
        study=own.study_name,
        heartbeat_s=options.heartbeat_s,
        seed=config.train.seed,
        store=store_folder,
        require_gpu=config.device.require_gpu,
        label=options.workers > 1,
    )
    workers.run(own, task, trials=options.trials, timeout_s=options.timeout_s, workers=options.workers)


def epochs_of_a_training(given: dict[str, str]) -> int:
    """Epochs of preset and configuration file; ``--epochs`` is for the trials only."""
    sources = {name: given[name] for name in ("preset", "config") if name in given}
    return cli.resolve(sources, (), None, PRESET)[0].train.epochs


@cli.command(sections=tuple(SECTIONS), options=TuneOptions, default_preset=PRESET, with_given=True)
def main(config: Config, options: TuneOptions, given: dict) -> int:
    """Entry point ``tune``."""
    study.quietly()
    if options.join:
        join(options, config.device.require_gpu)
        return 0
    store_folder = Path(options.store) if options.store else preprocess.ensure(config)
    config = settle_target(imagenet.settle(config))
    lead(config, options, store_folder, options.final_epochs or epochs_of_a_training(given))
    return 0


if __name__ == "__main__":
    cli.run(main)
