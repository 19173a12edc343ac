"""Tuning: a search with Optuna for the options that do best on dev, and a better champion from what it finds.

One MLflow run holds a nested run a trial, and after the search the study's figures and table, the best configuration,
and its trainings beside those of the default parameters. Every trial is a process; the same command goes on with a
search that was stopped. Eval is measured, and chooses nothing.
"""

import sys
from pathlib import Path

if not __package__:  # `python tuning/search.py` puts this folder on the path, and the project is the one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from dataclasses import dataclass

from pipeline import cli, tracking
from pipeline.common import provenance
from pipeline.config import SECTIONS, Config, artifacts_dir, option
from pipeline.errors import ConfigError

PRESET = "demo"


@dataclass(frozen=True)
class TuneOptions:
    """What to search, for how long, and where. ``--epochs`` are those of a trial, ``--seed`` is the search's."""

    params: str = option(
        "dropout,learning_rate,augment_strength",
        "options to vary, comma separated; also weight_decay, front_end, normalisation, clip_s, n_mels, n_bands and "
        "backbone",
    )
    trials: int = option(
        20, "trials that the study has in the end, complete or pruned; failed ones do not count", least=1
    )
    timeout_s: float = option(0.0, "start no trial later than this, in s; 0: no limit", least=0)
    objective: str = option(
        "eer",
        "what is made best on dev: eer (Cllr decides between equal ones), min_dcf, cllr, auc, loss. Two of them, or "
        "one and latency (eer,latency), give a Pareto front, unpruned; the first one chooses from it",
    )
    pruner: str = option(
        "halving",
        "how trials without promise are ended early: halving judges all of them from the first rung on, hyperband "
        "spares some of them the early rungs, median keeps the better half",
        choices=("halving", "hyperband", "median"),
    )
    no_pruning: bool = option(False, "train every trial to its end")
    storage: str = option(
        "",
        "URL of Optuna's storage, as postgresql://USER@HOST/DATABASE (password: ~/.pgpass or $PGPASSWORD); empty: "
        "SQLite under artifacts/tuning",
    )
    study: str = option("", "name of the study; empty: made from the settings, so that the same ones go on with it")
    workers: int = option(1, "trials that run at once on this machine", least=1)
    from_: str = option("", "study in the same storage whose best trials are tried after the default parameters")
    join: bool = option(
        False, "only run trials of --study, which another machine's command has started and will conclude"
    )
    final_seeds: str = option(
        "0,1,2",
        "seeds of the trainings that compare the best configuration with the default one, comma separated; none: end "
        "with the search",
    )
    final_epochs: int = option(0, "epochs of those trainings at most; 0: as preset and --config say", least=0)
    heartbeat_s: int = option(
        60, "a worker on another machine that is silent for twice as long counts as dead, in s", least=1
    )
    store: str = option("", "folder of a Store; empty: preprocess the corpus first")
    output: str = option("", "folder for figures, tables and best_params.yaml; empty: artifacts/tuning/STUDY")


def lead(config: Config, options: TuneOptions, store_folder: Path, final_epochs: int) -> Path:
    """The whole search of a configuration, from the first trial to the registered model; returns its folder."""
    import mlflow

    from pipeline.store.store import Store
    from tuning import promotion, results, study, study_page

    settings = _settings(config, options, store_folder)
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
            # Names of their own: `mlflow run` has logged the options as they were typed.
            mlflow.log_params({"varied": ",".join(settings.params), "pruned_by": settings.pruner})
            mlflow.log_params({"store_folder": store_folder.name, "epochs_of_final": final_epochs})
            tracking.log_inputs(Store.open(store_folder), ("train", "dev"))
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
    """Run trials of a study that another command leads, on this machine's own copy of the Store."""
    from pipeline import preprocess
    from pipeline.store.store import Store
    from tuning import results, study

    if not options.study or not options.storage:
        raise ConfigError("--join: name the study with --study and the storage that its machines share with --storage")
    tracking.check()
    own = study.load(study.storage(options.storage, options.heartbeat_s), options.study)
    settings = study.settings_of(own)
    store_folder = Path(options.store) if options.store else preprocess.ensure(settings.config)
    if (here := Store.open(store_folder).fingerprint) != settings.store:
        raise ConfigError(
            f"--store {store_folder}: its fingerprint is {here}, and the study trains on {settings.store}"
        )
    _run_trials(own, options, options.storage, settings.config.replace(require_gpu=require_gpu), store_folder)
    print(f"\n{results.summary(own)}")


def _settings(config: Config, options: TuneOptions, store_folder: Path) -> "study.Settings":  # noqa: F821
    from pipeline.store.store import Store
    from tuning import objective, space, study

    objectives = objective.names(options.objective)
    return study.Settings(
        config=config,
        params=space.names(options.params),
        objectives=objectives,
        # Optuna prunes for one objective alone.
        pruner="none" if options.no_pruning or len(objectives) > 1 else options.pruner,
        store=Store.open(store_folder).fingerprint,
    )


def _run_trials(own: "optuna.Study", options: TuneOptions, url: str, config: Config, store_folder: Path) -> None:  # noqa: F821
    from tuning import results, workers
    from tuning.trial import Task

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
    """Epochs that preset and configuration file give, whatever ``--epochs`` gives the trials."""
    sources = {name: given[name] for name in ("preset", "config") if name in given}
    return cli.resolve(sources, (), None, PRESET)[0].train.epochs


@cli.command(sections=tuple(SECTIONS), options=TuneOptions, default_preset=PRESET, with_given=True)
def main(config: Config, options: TuneOptions, given: dict) -> int:
    """Entry point ``tune``."""
    from pipeline import preprocess
    from tuning import study

    study.quietly()
    if options.join:
        join(options, config.device.require_gpu)
        return 0
    store_folder = Path(options.store) if options.store else preprocess.ensure(config)
    lead(config, options, store_folder, options.final_epochs or epochs_of_a_training(given))
    return 0


if __name__ == "__main__":
    cli.run(main)
