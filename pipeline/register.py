"""Register a model folder: a version in MLflow's registry, the candidate, and the champion if the rule says so.

The candidate becomes champion if there is none, or by the rule of ``registry.promotion``. The champion's folder is also
copied to ``artifacts/models/champion``, so scoring needs no registry. ``--rollback true`` restores the champion before.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline import cli, tracking
from pipeline.common import files
from pipeline.config import REGISTERED_MODEL, Config, artifacts_dir, fingerprint, option
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.registry import registered_model
from pipeline.registry.promotion import Decision, decide
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder

CANDIDATE, CHAMPION = "candidate", "champion"
CHAMPION_URI = f"models:/{REGISTERED_MODEL}@{CHAMPION}"
PREVIOUS, ROLLED_BACK = "previous_champion", "rolled_back"
"""Tags of a champion: the version before it, and that a rollback has replaced it."""
CONTENT = "content"
"""Tag of a version: fingerprint of the files of its model folder."""
UNFINISHED = "unfinished"
"""Tag of a version whose registration was not completed."""
DESCRIPTION_CHARACTERS = 5000
"""MLflow's limit on the description of a version."""


@dataclass(frozen=True)
class RegisterOptions:
    """Which model to register."""

    model: str = option("", "model folder that training wrote, or runs:/ID of its run; empty: the newest folder")
    rollback: bool = option(False, "true: register nothing, and make the previous champion champion again")


@tracking.named_errors()
def register(model_folder: Path) -> Decision:
    """Register a model folder and apply the rule; resumes a registration that was stopped.

    A folder that is already registered is only reported.
    """
    tracking.check()
    import mlflow

    candidate, client = ModelFolder.load(model_folder), mlflow.MlflowClient()
    identity = {
        "model_version": candidate.model_version,
        "trained_in": candidate.run_id,
        "operating_point": candidate.operating_point,
    }
    versions = client.search_model_versions(f"name = '{REGISTERED_MODEL}'")
    content = fingerprint(candidate.sha256)
    same = (version for version in versions if identity.items() <= version.tags.items())
    known = next((version for version in same if version.tags.get(CONTENT, content) == content), None)
    champion = _champion(client)
    number = str(known.version) if known else _log(candidate, {**identity, CONTENT: content})
    is_champion = champion is not None and str(champion.version) == number
    is_finished = known is not None and UNFINISHED not in known.tags
    if is_finished or is_champion:
        decision = Decision(is_champion, known.tags.get("decision", ""))
    else:
        decision = _decide(client, candidate, number, champion)
    _copy_champion(client)
    if is_finished:
        print(f"already registered: {REGISTERED_MODEL} version {number} is {candidate.model_version}")
        return decision
    client.delete_model_version_tag(REGISTERED_MODEL, number, UNFINISHED)
    role = CHAMPION if decision.promoted else f"{CANDIDATE}, not {CHAMPION}"
    print(f"{REGISTERED_MODEL} version {number} is {role}: {decision.reason}")
    return decision


def _log(candidate: ModelFolder, identity: dict[str, str]) -> str:
    """Log the model into the run that trained it, or into a new one, and register it; returns the version.

    A version is created with its identity, so a later attempt finds it however soon this process is killed.
    """
    import mlflow

    run_id = candidate.run_id if tracking.exists(candidate.run_id) else None
    with tracking.run(candidate.model_version, stage="register", run_id=run_id):
        model_uri = registered_model.log(candidate)
        created = mlflow.register_model(model_uri, REGISTERED_MODEL, tags={**identity, UNFINISHED: "true"})
    return str(created.version)


def _decide(client: "MlflowClient", candidate: ModelFolder, number: str, holder: "ModelVersion | None") -> Decision:  # noqa: F821
    """Apply the rule to a version. Its tags and description are written before its aliases."""
    champion = ModelFolder.load(model_folders.find(CHAMPION_URI)) if holder else None
    decision = decide(candidate, champion)
    tags = {
        "dev_eer": f"{candidate.dev_eer:.6f}",
        "dev_trials": candidate.dev_trials,
        "against": champion.model_version if champion else "",
        **({"parent": candidate.parent} if candidate.parent else {}),
        "promoted": str(decision.promoted).lower(),
        "decision": decision.reason,
        **decision.numbers,
        **_eval_eer("eval_eer", candidate),
        **_eval_eer("eval_eer_champion", champion),
    }
    if decision.promoted and holder:
        tags[PREVIOUS] = str(holder.version)
    for name, value in tags.items():
        client.set_model_version_tag(REGISTERED_MODEL, number, name, value)
    client.update_model_version(REGISTERED_MODEL, number, description=_description(candidate))
    client.set_registered_model_alias(REGISTERED_MODEL, CANDIDATE, number)
    if decision.promoted:
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, number)
    return decision


def _eval_eer(tag: str, model: ModelFolder | None) -> dict[str, str]:
    """EER on eval as a tag, if the run of the model has it; it is reported, and does not decide."""
    import mlflow

    if model is None or not tracking.exists(model.run_id):
        return {}
    measured = mlflow.MlflowClient().get_run(model.run_id).data.metrics
    return {tag: f"{measured['eval/eer']:.6f}"} if "eval/eer" in measured else {}


def _description(candidate: ModelFolder) -> str:
    """Model card of the folder, or of the training run's evaluation, cut to MLflow's limit."""
    import mlflow

    own = candidate.folder / model_folders.CARD
    uri = str(own) if own.is_file() else f"runs:/{candidate.run_id}/{model_folders.CARD}"
    try:
        card = own.read_text(encoding="utf-8") if own.is_file() else ""
        card = card or (mlflow.artifacts.load_text(uri) if candidate.run_id else "")
    except (mlflow.MlflowException, OSError):
        card = ""
    if not card:
        return f"{candidate.model_version} was not evaluated before it was registered, so it has no model card."
    if len(card) <= DESCRIPTION_CHARACTERS:
        return card
    more = f"\n\nThe whole card: {uri}\n"
    return card[: DESCRIPTION_CHARACTERS - len(more)].rsplit("\n", 1)[0] + more


@tracking.named_errors()
def rollback() -> str:
    """Make the previous champion champion again, in the registry and on disk; returns its version.

    Raises ``ConfigError`` if there is none.
    """
    tracking.check()
    import mlflow

    client = mlflow.MlflowClient()
    champion = _champion(client)
    previous = champion.tags.get(PREVIOUS, "") if champion else ""
    if not previous:
        state = f"version {champion.version} is the first {CHAMPION}" if champion else f"there is no {CHAMPION}"
        raise ConfigError(f"--rollback true: no previous {CHAMPION}, {state}; `mlflow ui` can set aliases")
    folder = model_folders.find(f"models:/{REGISTERED_MODEL}/{previous}")
    restored = ModelFolder.load(folder).model_version
    client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, previous)
    client.set_model_version_tag(REGISTERED_MODEL, champion.version, ROLLED_BACK, "true")
    _copy(folder)
    print(f"{REGISTERED_MODEL} version {previous} ({restored}) is {CHAMPION} again, version {champion.version} is not")
    return previous


def _champion(client: "MlflowClient") -> "ModelVersion | None":  # noqa: F821
    """Version that is champion."""
    # By search: asked for a model that does not exist, a server with passwords answers that the user may not read it.
    found = client.search_registered_models(f"name = '{REGISTERED_MODEL}'")
    number = found[0].aliases.get(CHAMPION) if found else None
    return client.get_model_version(REGISTERED_MODEL, number) if number else None


def _copy_champion(client: "MlflowClient") -> None:  # noqa: F821
    """Copy the registry's champion to the folder where scoring looks first, unless it is there."""
    if (champion := _champion(client)) is None:
        return
    if (model_folders.champion_dir() / model_folders.INDEX).is_file():
        local = ModelFolder.load(model_folders.champion_dir())
        if all(champion.tags.get(name) == getattr(local, name) for name in ("model_version", "operating_point")):
            return
    _copy(model_folders.find(CHAMPION_URI))


def _copy(folder: Path) -> None:
    with files.whole_folder(model_folders.champion_dir()) as unfinished:
        shutil.copytree(folder, unfinished, dirs_exist_ok=True)


def newest() -> Path:
    """Model folder that training wrote last; raises ``ModelFolderError`` if there is none."""
    indices = (artifacts_dir() / "models").glob(f"*/{model_folders.INDEX}")
    # Folders with a suffix were left by a kill while the folder of that name was written.
    trained = [i for i in indices if i.parent != model_folders.champion_dir() and not i.parent.suffix]
    if not trained:
        raise ModelFolderError("nothing to register: train a model first, or name its folder with --model")
    return max(trained, key=lambda index: index.stat().st_mtime).parent


@cli.command(options=RegisterOptions)
def main(_: Config, options: RegisterOptions) -> int:
    """Entry point ``register``."""
    if options.rollback:
        if options.model:
            raise ConfigError("--rollback true takes no --model: it restores the previous champion")
        rollback()
    else:
        register(model_folders.find(options.model) if options.model else newest())
    return 0


if __name__ == "__main__":
    cli.run(main)
