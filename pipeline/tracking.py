"""The few MLflow calls that everything shares: where runs go, how they nest, and how a stopped one goes on.

Each stage opens one run through ``run``. Alone it becomes a run of its own, inside ``main`` a child of main's run, and
under ``mlflow run`` the run that MLflow has already opened. A server that does not answer ends a stage with one line,
but never an epoch: what it has not got is sent to it with the next ones.
"""

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import metadata

from pipeline.config import EXPERIMENT, Config
from pipeline.tracking_server import check, named_silence, quickly, silence, unknown, without_password

RECORDED_PACKAGES = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "ai-edge-litert",
    "mlflow",
    "librosa",
    "numpy",
    "scikit-learn",
)
"""Distributions whose versions go into each run and model folder."""


@contextmanager
def run(
    name: str,
    *,
    stage: str,
    tags: Mapping[str, str] | None = None,
    run_id: str | None = None,
    parent_run_id: str | None = None,
    aside: bool = False,
) -> Iterator["mlflow.ActiveRun"]:  # noqa: F821
    """The MLflow run of one stage, active inside the block.

    Parameters
    ----------
    name : shown in ``mlflow ui``.
    stage : value of the tag ``stage`` (preprocess, train, …).
    run_id : run to go on with. A different run that ``mlflow run`` has opened for this process is tagged
        ``continued_in`` with it and closed.
    parent_run_id : run, of another process, that this one is nested in.
    aside : leave the run that ``mlflow run`` has opened to a later stage of this process.

    Raises ``TrackingError`` where the tracking server does not answer, at the start or later.
    """
    check()
    import mlflow
    from mlflow.exceptions import MlflowException

    if parent_run_id:
        os.environ.pop("MLFLOW_RUN_ID", None)  # inherited from the process of the parent run
    opened_by_mlflow = os.environ.get("MLFLOW_RUN_ID")
    nested = mlflow.active_run() is not None
    if run_id and opened_by_mlflow and opened_by_mlflow != run_id and not nested:
        client = mlflow.MlflowClient()
        client.set_tag(opened_by_mlflow, "continued_in", run_id)
        client.set_terminated(opened_by_mlflow)
        del os.environ["MLFLOW_RUN_ID"]
    experiment_id = None
    if parent_run_id:
        experiment_id = mlflow.get_run(parent_run_id).info.experiment_id
    elif not opened_by_mlflow and not nested and "MLFLOW_EXPERIMENT_NAME" not in os.environ:
        mlflow.set_experiment(EXPERIMENT)
    own_run = _without_run_of_mlflow() if aside and opened_by_mlflow else nullcontext()
    start = {"experiment_id": experiment_id, "parent_run_id": parent_run_id, "nested": nested}
    named = {"run_id": run_id, "run_name": None if run_id else name}
    with own_run, ExitStack() as at_the_end, named_silence(), mlflow.start_run(**named, **start) as active:
        try:
            if opened_by_mlflow == active.info.run_id:
                mlflow.set_tag("mlflow.runName", name)
            # MLflow's page then opens with runs and models, and not with traces of language models.
            if not parent_run_id:
                mlflow.set_experiment_tag("mlflow.experimentKind", "custom_model_development")
            mlflow.set_tags({"stage": stage, **(tags or {})} if run_id is None else dict(tags or {}))
            yield active
        except MlflowException as error:
            if silence(error):
                # The run cannot be ended either, and that need not be waited for.
                at_the_end.enter_context(quickly())
            raise


@contextmanager
def _without_run_of_mlflow() -> Iterator[None]:
    run_id = os.environ.pop("MLFLOW_RUN_ID")
    try:
        yield
    finally:
        os.environ["MLFLOW_RUN_ID"] = run_id


def exists(run_id: str) -> bool:
    """Whether the tracking server knows the run and it is not deleted; raises ``TrackingError`` where it is silent."""
    check()
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        return mlflow.MlflowClient().get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException as error:
        if unknown(error):
            return False
        raise


def has_file(run_id: str, path: str) -> bool:
    """Whether a run holds an artifact."""
    import mlflow

    folder = path.rpartition("/")[0]
    return any(item.path == path for item in mlflow.MlflowClient().list_artifacts(run_id, folder or None))


def log_epochs(run_id: str, history: Sequence[Mapping[str, float]], *, patient: bool) -> None:
    """Log to a run those epochs of a history that it has not got, each a dict of metrics; the step is its number.

    The server is asked what it has, so nothing is logged twice. Unless ``patient``, what it does not take at once is
    left to a later call, and said.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    if not history:
        return
    name = next(iter(history[0]))
    try:
        with nullcontext() if patient else quickly():
            # An epoch's metrics are logged in one call, so one of them stands for all.
            there = {point.step for point in mlflow.MlflowClient().get_metric_history(run_id, name)}
            for epoch in sorted(set(range(len(history))) - there):
                mlflow.log_metrics(history[epoch], step=epoch, run_id=run_id)
    except MlflowException as error:
        if patient:
            raise
        reason = silence(error) or str(error).splitlines()[0]
        print(f"the tracking server does not take the metrics ({reason}); they are kept and sent later", flush=True)


def log_config(config: Config) -> None:
    """Log the resolved configuration as parameters ``config/<option>`` of the active run."""
    import mlflow

    mlflow.log_params({f"config/{name}": value for name, value in config.flat().items()})


def tags(config: Config, store: "Store") -> dict[str, str]:  # noqa: F821
    """What runs of models are told apart by in ``mlflow ui``, the same in every stage."""
    return {
        "preset": config.preset,
        "backbone": config.model.backbone,
        "front_end": config.front_end.front_end,
        "normalisation": config.front_end.normalisation,
        "corpus": store.name,
        "split": store.split_by + (" (speakers leak)" if store.split_by == "stratified" else ""),
        "seed": str(config.train.seed),
    }


def log_inputs(store: "Store", subsets: Sequence[str]) -> None:  # noqa: F821
    """Log subsets of a Store as dataset inputs of the active run."""
    import mlflow
    from mlflow.data.sources import LocalArtifactDatasetSource

    for subset in subsets:
        table = store.manifest.iloc[store.subset(subset)]
        if len(table):
            columns = table[["utterance_id", "label", "speaker", "attack", "duration_s"]]
            source = LocalArtifactDatasetSource(str(store.folder))
            dataset = mlflow.data.from_pandas(columns, source=source, name=f"{store.name}-{subset}")
            mlflow.log_input(dataset, context=subset)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def command() -> str:
    """The command line of this process, as it can be typed again; a password in a URL is left out."""
    import shlex

    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    program = ["-m", spec.name] if spec else [sys.argv[0]]
    return without_password(shlex.join(["python", *program, *sys.argv[1:]]))
