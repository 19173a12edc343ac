"""MLflow calls that all commands share: where runs go, how they nest, how a stopped run resumes, and a silent server.

Each stage opens one run through ``run``: a run of its own when started alone, a child of main's run inside ``main``,
and the run that MLflow has already opened under ``mlflow run``. If the tracking server does not answer, a stage ends
with one line (MLflow itself retries for minutes); an epoch never ends for it, and its metrics are sent later.
"""

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import metadata

from pipeline.config import EXPERIMENT, PROJECT_ROOT, Config
from pipeline.errors import TrackingError

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
QUICK_TIMEOUT_S = 5
"""Longest wait for a server while something else depends on its answer."""
_UNWRITABLE = re.compile("database or disk is full|attempt to write a readonly database|unable to open database file")
"""Messages of SQLite errors that MLflow has no class for."""


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
    run_id : run to resume. A different run that ``mlflow run`` has opened for this process is tagged
        ``continued_in`` with it and closed.
    parent_run_id : run, of another process, that this one is nested in.
    aside : log to a new run, and leave the one that ``mlflow run`` opened to a later stage of this process.

    Raises ``TrackingError`` when the tracking server does not answer, at the start or later.
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
            # Makes MLflow's page open with runs and models instead of traces of language models.
            if not parent_run_id:
                mlflow.set_experiment_tag("mlflow.experimentKind", "custom_model_development")
            mlflow.set_tags({"stage": stage, **(tags or {})} if run_id is None else dict(tags or {}))
            yield active
        except MlflowException as error:
            if silence(error):
                # Ending the run will fail too; do not wait for it.
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
    """Whether the tracking server has the run, not deleted; raises ``TrackingError`` if the server is silent."""
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
    """Log the epochs of a history that a run lacks, each a dict of metrics; the step is the epoch's number.

    Asks the server what it has, so nothing is logged twice. Unless ``patient``, metrics that the server does not take
    at once are left to a later call, with a printed line.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    if not history:
        return
    name = next(iter(history[0]))
    try:
        with nullcontext() if patient else quickly():
            # An epoch's metrics are logged in one call, so one name stands for all.
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


def model_name(config: Config, corpus: str) -> str:
    """Name of a model's run in ``mlflow ui``: ``lcnn logspec 1 s · demo · seed 0``."""
    front_end = "" if config.model.backbone == "rawnet2" else f" {config.front_end.front_end}"
    return f"{config.model.backbone}{front_end} {config.window.clip_s:g} s · {corpus} · seed {config.train.seed}"


def tags(config: Config, store: "Store") -> dict[str, str]:  # noqa: F821
    """Tags that tell runs of models apart in ``mlflow ui``, the same in every stage."""
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
    """Command line of this process, ready to be typed again, without the password of a URL."""
    import shlex

    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    program = ["-m", spec.name] if spec else [sys.argv[0]]
    return without_password(shlex.join(["python", *program, *sys.argv[1:]]))


def configure() -> None:
    """Point MLflow at ``$MLFLOW_TRACKING_URI``, or else at ``mlflow.db`` in the project.

    Turns off usage reports, and the progress bar for every copied file.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{PROJECT_ROOT / 'mlflow.db'}")


def check() -> None:
    """Raise ``TrackingError`` if the tracking server does not answer within seconds."""
    configure()
    import mlflow

    if mlflow.get_tracking_uri().startswith("http"):
        with named_silence(), quickly(retries=2):
            mlflow.MlflowClient().search_experiments(max_results=1)


def unknown(error: "mlflow.exceptions.MlflowException") -> bool:  # noqa: F821
    """Whether the server answered that it has no such thing."""
    return error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


def silence(error: "mlflow.exceptions.MlflowException") -> str:  # noqa: F821
    """Why a server did not answer; "" if it did."""
    text = str(error)
    if not text.startswith("API request to http"):  # MLflow has no class of its own for it
        return ""
    if "timeout" in text.lower() or "timed out" in text.lower():
        return "no answer in time"
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", text)
    return found[1] if found else without_password(text.splitlines()[0])[:200]


@contextmanager
def named_silence() -> Iterator[None]:
    """Turn the error of a silent server or a full store into a ``TrackingError`` that names the remedy."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        import mlflow

        where = without_password(mlflow.get_tracking_uri())
        if error.error_code == "UNAUTHENTICATED":
            given = "another name or password" if "MLFLOW_TRACKING_USERNAME" in os.environ else "a name and a password"
            raise TrackingError(
                f"the tracking server {where} wants {given}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            ) from None
        if reason := silence(error):
            what = f"the tracking server {where} does not answer ({reason}); start it"
        elif full := _UNWRITABLE.search(str(error)):
            what = f"the tracking store {where} cannot be written ({full[0]}); free space or grant the right to write"
        else:
            raise
        raise TrackingError(f"{what}, or check MLFLOW_TRACKING_URI, and run the same command again to resume") from None


@contextmanager
def quickly(retries: int = 0) -> Iterator[None]:
    """Make MLflow give up soon on a silent server inside the block."""
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": retries, "MLFLOW_HTTP_REQUEST_TIMEOUT": QUICK_TIMEOUT_S}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: str(min(value, int(before[name] or value))) for name, value in wanted.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def without_password(text: str) -> str:
    """Text with the passwords of its URLs hidden."""
    return re.sub(r"(://[^:/@\s]+):[^@\s]+@", r"\1:***@", text)
