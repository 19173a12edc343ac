"""MLflow calls that all commands share: where runs go, how they nest, how they resume, and what errors mean.

Each stage opens one run through ``run``: a separate run when started alone, a child of main's run inside ``main``, and
the run that MLflow has already opened under ``mlflow run``. If the tracking server does not answer, a stage ends with
one line (MLflow itself retries for minutes); training continues and logs its metrics later.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from urllib.parse import quote, unquote

from pipeline.config import EXPERIMENT, FUSION, ON_WAVEFORMS, PROJECT_ROOT, Config
from pipeline.errors import TrackingError

QUICK_TIMEOUT_S = 5
"""Longest wait for a server while something else depends on its answer."""
_STORE = re.compile(r"(?s)(https?|sqlite|postgresql|mysql|mssql)(\+\w+)?://.+")
"""Addresses that MLflow takes; it writes no folders any more."""
_UNWRITABLE = re.compile("database or disk is full|attempt to write a readonly database|unable to open database file")
"""SQLite errors, for which MLflow has no class."""


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
    parent_run_id : parent of the run, opened by another process.
    aside : log to a new run, and leave the one that ``mlflow run`` opened to a later stage of this process.

    Raises ``TrackingError`` if the tracking server does not answer, at the start or later.
    """
    check()
    import mlflow

    if parent_run_id:
        os.environ.pop("MLFLOW_RUN_ID", None)  # inherited from the process of the parent run
    opened_by_mlflow = os.environ.get("MLFLOW_RUN_ID")
    nested = mlflow.active_run() is not None
    with ExitStack() as at_the_end, named_errors():
        if run_id and opened_by_mlflow and opened_by_mlflow != run_id and not nested:
            client = mlflow.MlflowClient()
            client.set_tag(opened_by_mlflow, "continued_in", run_id)
            client.set_terminated(opened_by_mlflow)
            del os.environ["MLFLOW_RUN_ID"]
        experiment_id = mlflow.get_run(parent_run_id).info.experiment_id if parent_run_id else None
        if not (parent_run_id or opened_by_mlflow or nested):
            _set_experiment()
        if aside:
            at_the_end.enter_context(_environment(MLFLOW_RUN_ID=None))
        named = {"run_id": run_id} if run_id else {"run_name": name, "experiment_id": experiment_id}
        with mlflow.start_run(**named, parent_run_id=parent_run_id, nested=nested) as active:
            try:
                if opened_by_mlflow == active.info.run_id:
                    mlflow.set_tag("mlflow.runName", name)
                if not parent_run_id:  # opens MLflow's page with runs and models, not traces of language models
                    mlflow.set_experiment_tag("mlflow.experimentKind", "custom_model_development")
                mlflow.set_tags({} if run_id else {"stage": stage})
                mlflow.set_tags(tags or {})
                yield active
            except mlflow.MlflowException as error:
                if silence(error):  # ending the run will fail too; do not wait for it
                    at_the_end.enter_context(quickly())
                raise


def _set_experiment() -> None:
    """Log to the experiment of MLFLOW_EXPERIMENT_ID or MLFLOW_EXPERIMENT_NAME, or else to the project's."""
    import mlflow

    given = os.environ.get("MLFLOW_EXPERIMENT_ID")
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    try:
        mlflow.set_experiment(experiment_id=given) if given else mlflow.set_experiment(name)
    except mlflow.MlflowException as error:
        if not unknown(error):
            raise
        state = "is deleted" if "deleted experiment" in str(error) else "does not exist"
        raise TrackingError(
            f"the experiment {given or name} {state} at {address()}; `mlflow experiments restore` brings a deleted one "
            "back, MLFLOW_EXPERIMENT_NAME or MLFLOW_EXPERIMENT_ID chooses another"
        ) from None


def exists(run_id: str) -> bool:
    """Whether the tracking server has the run, not deleted; models without a run have an empty id.

    Raises ``TrackingError`` if the server does not answer.
    """
    if not run_id:
        return False
    check()
    import mlflow

    try:
        return mlflow.MlflowClient().get_run(run_id).info.lifecycle_stage == "active"
    except mlflow.MlflowException as error:
        if unknown(error):
            return False
        raise


def log_epochs(run_id: str, history: Sequence[Mapping[str, float]], *, patient: bool) -> None:
    """Log the epochs that a run lacks; ``history`` holds the metrics of each, and the step is its number.

    Unless ``patient``, metrics that the server does not take at once are left to a later call, with a printed line.
    """
    import mlflow

    if not history:
        return
    name = next(iter(history[0]))
    try:
        with nullcontext() if patient else quickly():
            # An epoch's metrics are logged in one call, so one name stands for all.
            logged = {point.step for point in mlflow.MlflowClient().get_metric_history(run_id, name)}
            for epoch in sorted(set(range(len(history))) - logged):
                mlflow.log_metrics(history[epoch], step=epoch, run_id=run_id)
    except mlflow.MlflowException as error:
        if patient:
            raise
        reason = silence(error) or str(error).splitlines()[0]
        print(f"the tracking server does not take the metrics ({reason}); they are kept and sent later", flush=True)


def log_config(config: Config) -> None:
    """Log the resolved configuration as parameters ``config/<option>`` of the active run."""
    import mlflow

    mlflow.log_params({f"config/{name}": value for name, value in config.shown().items()})


def model_name(config: Config, corpus: str) -> str:
    """Name of a model's run in ``mlflow ui``: ``lcnn logspec 1 s · demo · seed 0``."""
    if config.model.backbone == FUSION:
        return f"{FUSION} {config.window.clip_s:g} s · {corpus}"
    front_end = "" if config.model.backbone in ON_WAVEFORMS else f" {config.front_end.front_end}"
    return f"{config.model.backbone}{front_end} {config.window.clip_s:g} s · {corpus} · seed {config.train.seed}"


def tags(config: Config, store: "Store") -> dict[str, str]:  # noqa: F821
    """Tags that distinguish runs of models in ``mlflow ui``, the same in every stage."""
    names = ("preset", "backbone", "front_end", "normalisation", "weights", "seed")
    shown, leaks = config.shown(), " (speakers leak)" if store.leaks else ""
    own = {name: str(shown.get(name, "")) for name in names}
    return {**own, "corpus": store.name, "split": store.split_by + leaks}


def log_inputs(store: "Store", subsets: Sequence[str]) -> None:  # noqa: F821
    """Log subsets of a Store as dataset inputs of the active run."""
    import mlflow
    from mlflow.data.sources import LocalArtifactDatasetSource

    source = LocalArtifactDatasetSource(str(store.folder))
    for subset in subsets:
        table = store.manifest.iloc[store.subset(subset)]
        if len(table):
            columns = table[["utterance_id", "label", "speaker", "attack", "duration_s"]]
            mlflow.log_input(mlflow.data.from_pandas(columns, source, name=f"{store.name}-{subset}"), context=subset)


def check() -> None:
    """Point MLflow at the tracking server; raises ``TrackingError`` if its address is wrong or it does not answer."""
    if (uri := store_uri()).startswith("http"):
        import mlflow

        with named_errors(), quickly(retries=2):
            mlflow.MlflowClient().search_experiments(max_results=1)
    else:
        _check_database(uri)


def store_uri() -> str:
    """``$MLFLOW_TRACKING_URI`` or ``mlflow.db`` in the project; raises ``TrackingError`` if MLflow cannot take it."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{PROJECT_ROOT / 'mlflow.db'}"
    if not _STORE.fullmatch(uri):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI={address(uri)}: expected http://HOST:PORT, https://…, sqlite:///FILE or "
            "postgresql://…; `mlflow migrate-filestore` turns a folder of runs (file://) into an SQLite file"
        )
    os.environ["MLFLOW_TRACKING_URI"] = login_apart(uri)
    return os.environ["MLFLOW_TRACKING_URI"]


def _check_database(uri: str) -> None:
    import sqlalchemy

    try:
        engine = sqlalchemy.create_engine(uri)
        if engine.dialect.name != "sqlite":
            engine.connect().close()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise TrackingError(
            f"the tracking store {address()} cannot be opened ({reason}); start its database, or check "
            "MLFLOW_TRACKING_URI (postgresql+psycopg2:// names the driver that is installed)"
        ) from None


def login_apart(uri: str) -> str:
    """Address without the password where MLflow would print it: a server's user and password become variables.

    A database keeps them, quoted. The password may hold any character; the last ``@`` ends it.
    """
    scheme, _, rest = uri.partition("://")
    login, _, place = rest.rpartition("@")
    user, _, password = map(unquote, login.partition(":"))
    if not password or scheme.startswith("sqlite"):
        return uri
    if scheme.startswith("http"):
        os.environ |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
        return f"{scheme}://{place}"
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{place}"


def address(uri: str = "") -> str:
    """Address of the tracking server for messages, without a password."""
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    return without_password(uri) if "://" in uri else uri.rpartition("@")[2]


def without_password(text: str) -> str:
    """Text with the user and the password of its URL hidden."""
    return re.sub(r"(?s)://(?!/).*@", "://***@", text)


def unknown(error: "mlflow.exceptions.MlflowException") -> bool:  # noqa: F821
    """Whether the server answered that it has no such thing."""
    return error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


def silence(error: "mlflow.exceptions.MlflowException") -> str:  # noqa: F821
    """Why a server did not answer; "" if it did."""
    text = str(error)
    if not text.startswith(("API request to http", "Invalid url")):  # MLflow has no class for the first
        return ""
    if "timeout" in text.lower() or "timed out" in text.lower():
        return "no answer in time"
    found = re.search(r"\[(?:Errno -?\d+|SSL[^\]]*)\] ([^'\"()]+)", text)
    return found[1].strip() if found else "no connection"


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn an error of the tracking server or a full store into a ``TrackingError`` that names the remedy."""
    import mlflow

    try:
        yield
    except mlflow.MlflowException as error:
        refused = re.search(r"failed with error code \d+|not in a valid JSON format", str(error))
        if error.error_code == "UNAUTHENTICATED":
            given = "another name or password" if "MLFLOW_TRACKING_USERNAME" in os.environ else "a name and a password"
            problem = f"needs {given}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        elif error.error_code == "PERMISSION_DENIED" and not refused:
            problem = "does not let this user do that; ask its administrator for the right to edit"
        elif reason := silence(error):
            problem = f"does not answer ({reason}); start it, or check MLFLOW_TRACKING_URI"
        elif refused:
            problem = f"does not answer as MLflow does ({refused[0]}); check host and path in MLFLOW_TRACKING_URI"
        elif unwritable := _UNWRITABLE.search(str(error)):
            problem = f"cannot be written ({unwritable[0]}); free space or grant the right to write"
        else:
            raise
        resume = "and run the same command again to resume"
        raise TrackingError(f"the tracking server {address()} {problem}, {resume}") from None


@contextmanager
def quickly(retries: int = 0) -> Iterator[None]:
    """Make MLflow give up soon on a silent server inside the block."""
    limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": retries, "MLFLOW_HTTP_REQUEST_TIMEOUT": QUICK_TIMEOUT_S}
    with _environment(**{name: str(min(most, int(os.environ.get(name) or most))) for name, most in limits.items()}):
        yield


@contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Set environment variables inside the block; ``None`` removes one."""
    before = {name: os.environ.pop(name, None) for name in values}
    os.environ |= {name: value for name, value in values.items() if value is not None}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ |= {} if value is None else {name: value}
