"""Registering a model folder: a version in MLflow's registry, the candidate, and perhaps the new champion.

The candidate becomes champion when there is none, or when the rule of ``registry.promotion`` says so. The champion's
folder is also left under ``artifacts/models/champion``, so that scoring starts without the registry. ``--rollback
true`` puts the champion before it back.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline import cli, tracking
from pipeline.common import files
from pipeline.config import REGISTERED_MODEL, Config, option
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.registry import registered_model
from pipeline.registry.promotion import Decision, decide
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder

CANDIDATE, CHAMPION = "candidate", "champion"
PREVIOUS, ROLLED_BACK = "previous_champion", "rolled_back"
"""Tags: the version that a champion took the alias from, and that it lost the alias by a rollback."""
UNFINISHED = "unfinished"
"""Tag of a version whose registration has not come to its end."""
DESCRIPTION_CHARACTERS = 5000
"""MLflow's limit on the description of a version."""


@dataclass(frozen=True)
class RegisterOptions:
    """Which model to register."""

    model: str = option("", "model folder that training wrote, or runs:/ID of its run; empty: the newest folder")
    rollback: bool = option(False, "true: register nothing, and make the previous champion champion again")


def register(model_folder: Path) -> Decision:
    """Log and register a model folder, and apply the rule; a folder that is registered already is only reported.

    A registration that was stopped at any point goes on.
    """
    tracking.check()
    import mlflow

    candidate = ModelFolder.load(model_folder)
    client = mlflow.MlflowClient()
    identity = {
        "model_version": candidate.model_version,
        "trained_in": candidate.run_id,
        "operating_point": candidate.operating_point,
    }
    versions = client.search_model_versions(f"name = '{REGISTERED_MODEL}'")
    known = next((v for v in versions if identity.items() <= v.tags.items()), None)
    holder = _holder(client)
    if known and UNFINISHED not in known.tags:
        print(f"already registered: {REGISTERED_MODEL} version {known.version} is {candidate.model_version}")
        _leave_champion(client)
        return Decision(holder is not None and holder.version == known.version, known.tags.get("decision", ""))
    version = str(known.version) if known else _log(candidate, identity)
    if holder and str(holder.version) == version:
        decision = Decision(True, holder.tags["decision"])  # it was stopped after it had become champion
    else:
        decision = _decided(client, candidate, version, holder)
    _leave_champion(client)
    client.delete_model_version_tag(REGISTERED_MODEL, version, UNFINISHED)
    role = CHAMPION if decision.promoted else f"{CANDIDATE}, not {CHAMPION}"
    print(f"{REGISTERED_MODEL} version {version} is {role}: {decision.reason}")
    return decision


def _decided(
    client: "mlflow.MlflowClient",  # noqa: F821
    candidate: ModelFolder,
    version: str,
    holder: "mlflow.entities.model_registry.ModelVersion | None",  # noqa: F821
) -> Decision:
    """Apply the rule to a version: its tags and description say why before its aliases say what."""
    champion = ModelFolder.load(model_folders.find(f"models:/{REGISTERED_MODEL}@{CHAMPION}")) if holder else None
    decision = decide(candidate, champion)
    tags = {
        "dev_eer": f"{candidate.dev_eer:.6f}",
        "dev_trials": candidate.dev_trials,
        "against": champion.model_version if champion else "",
        "promoted": str(decision.promoted).lower(),
        "decision": decision.reason,
        **decision.numbers,
        **_beside(candidate, champion),
    }
    if decision.promoted and holder:
        tags[PREVIOUS] = str(holder.version)
    for name, value in tags.items():
        client.set_model_version_tag(REGISTERED_MODEL, version, name, value)
    client.update_model_version(REGISTERED_MODEL, version, description=_description(candidate))
    client.set_registered_model_alias(REGISTERED_MODEL, CANDIDATE, version)
    if decision.promoted:
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, version)
    return decision


def rollback() -> str:
    """Make the champion's predecessor champion again, in the registry and on disk; returns its version.

    Raises ``ConfigError`` where there is none.
    """
    tracking.check()
    import mlflow

    client = mlflow.MlflowClient()
    holder = _holder(client)
    previous = holder.tags.get(PREVIOUS, "") if holder else ""
    if not previous:
        state = f"version {holder.version} is the first {CHAMPION}" if holder else f"there is no {CHAMPION}"
        raise ConfigError(f"--rollback true: nothing to go back to, {state}; aliases can be set in `mlflow ui`")
    folder = model_folders.find(f"models:/{REGISTERED_MODEL}/{previous}")
    restored = ModelFolder.load(folder)
    client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, previous)
    client.set_model_version_tag(REGISTERED_MODEL, holder.version, ROLLED_BACK, "true")
    _leave(folder)
    print(
        f"{REGISTERED_MODEL} version {previous} ({restored.model_version}) is {CHAMPION} again in place of version "
        f"{holder.version}"
    )
    return previous


def _holder(client: "mlflow.MlflowClient") -> "mlflow.entities.model_registry.ModelVersion | None":  # noqa: F821
    """The version that is champion."""
    # Searched for: asked for a model that is not there, a server with passwords answers that one has no right to it.
    found = client.search_registered_models(f"name = '{REGISTERED_MODEL}'")
    version = found[0].aliases.get(CHAMPION) if found else None
    return client.get_model_version(REGISTERED_MODEL, version) if version else None


def _beside(candidate: ModelFolder, champion: ModelFolder | None) -> dict[str, str]:
    """EER on eval of both, where their training runs know it: reported, and not decided by."""
    import mlflow

    found = {}
    for name, model in (("eval_eer", candidate), ("eval_eer_champion", champion)):
        if model and model.run_id and tracking.exists(model.run_id):
            measured = mlflow.MlflowClient().get_run(model.run_id).data.metrics
            if "eval/eer" in measured:
                found[name] = f"{measured['eval/eer']:.6f}"
    return found


def _description(candidate: ModelFolder) -> str:
    """The model card of the training run's own evaluation, as much of it as MLflow takes."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    where = f"runs:/{candidate.run_id}/model_card.md"
    try:
        card = Path(download_artifacts(where)).read_text(encoding="utf-8") if candidate.run_id else ""
    except (MlflowException, OSError):
        card = ""
    if not card:
        return f"{candidate.model_version} was not evaluated before it was registered, so it has no model card."
    if len(card) <= DESCRIPTION_CHARACTERS:
        return card
    more = f"\n\nThe whole card: {where}\n"
    return card[: DESCRIPTION_CHARACTERS - len(more)].rsplit("\n", 1)[0] + more


def _log(candidate: ModelFolder, identity: dict[str, str]) -> str:
    """Log the model into the run that trained it, or into a new one, and register it; returns the version.

    A version has its identity from its first moment, so that it is found again however soon its process dies.
    """
    import mlflow

    run_id = candidate.run_id if tracking.exists(candidate.run_id) else None
    with tracking.run(candidate.model_version, stage="register", run_id=run_id):
        model_uri = registered_model.log(candidate)
        made = mlflow.register_model(model_uri, REGISTERED_MODEL, tags={**identity, UNFINISHED: "true"})
    return str(made.version)


def _leave_champion(client: "mlflow.MlflowClient") -> None:  # noqa: F821
    """Have the registry's champion, and no other model, where scoring looks first."""
    if (holder := _holder(client)) is None:
        return
    if (model_folders.champion_dir() / model_folders.INDEX).is_file():
        local = ModelFolder.load(model_folders.champion_dir())
        if all(holder.tags.get(name) == getattr(local, name) for name in ("model_version", "operating_point")):
            return
    _leave(model_folders.find(f"models:/{REGISTERED_MODEL}@{CHAMPION}"))


def _leave(folder: Path) -> None:
    """Copy a model folder to the place where scoring looks first."""
    with files.whole_folder(model_folders.champion_dir()) as unfinished:
        shutil.copytree(folder, unfinished, dirs_exist_ok=True)


@cli.command(options=RegisterOptions)
def main(_: Config, options: RegisterOptions) -> int:
    """Entry point ``register``."""
    if options.rollback:
        if options.model:
            raise ConfigError("--rollback true takes no --model: it goes back to the champion before the present one")
        rollback()
        return 0
    register(model_folders.find(options.model) if options.model else newest())
    return 0


def newest() -> Path:
    """The model folder that training wrote last; raises ``ModelFolderError`` where there is none."""
    from pipeline.config import artifacts_dir

    folders = [index.parent for index in (artifacts_dir() / "models").glob(f"*/{model_folders.INDEX}")]
    trained = [folder for folder in folders if folder != model_folders.champion_dir()]
    if not trained:
        raise ModelFolderError("nothing to register: train a model first, or name its folder with --model")
    return max(trained, key=lambda folder: (folder / model_folders.INDEX).stat().st_mtime)


if __name__ == "__main__":
    cli.run(main)
