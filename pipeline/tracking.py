"""The few MLflow calls that everything shares: where runs go, how they nest, and how a stopped one goes on.

Each stage opens one run through ``run``. Alone it becomes a run of its own, inside ``main`` a child of main's run, and
under ``mlflow run`` the run that MLflow has already opened.
"""

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib import metadata

from pipeline.config import EXPERIMENT, PROJECT_ROOT, Config

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


def configure() -> None:
    """Point MLflow at ``$MLFLOW_TRACKING_URI``, or else at ``mlflow.db`` in the project.

    No usage reports are sent, and no bar is drawn for every file that is copied.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{PROJECT_ROOT / 'mlflow.db'}")


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
    """
    configure()
    import mlflow

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
    with own_run, mlflow.start_run(run_id=run_id, run_name=None if run_id else name, **start) as active:
        if opened_by_mlflow == active.info.run_id:
            mlflow.set_tag("mlflow.runName", name)
        # MLflow's page then opens with runs and models, and not with traces of language models.
        if not parent_run_id:
            mlflow.set_experiment_tag("mlflow.experimentKind", "custom_model_development")
        mlflow.set_tags({"stage": stage, **(tags or {})} if run_id is None else dict(tags or {}))
        yield active


@contextmanager
def _without_run_of_mlflow() -> Iterator[None]:
    run_id = os.environ.pop("MLFLOW_RUN_ID")
    try:
        yield
    finally:
        os.environ["MLFLOW_RUN_ID"] = run_id


def exists(run_id: str) -> bool:
    """Whether the tracking server knows the run and it is not deleted."""
    configure()
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        return mlflow.MlflowClient().get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException:
        return False


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
    import re
    import shlex

    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    program = ["-m", spec.name] if spec else [sys.argv[0]]
    return re.sub(r"(://[^:/@\s]+):[^@\s]+@", r"\1:***@", shlex.join(["python", *program, *sys.argv[1:]]))
