"""All stages at once: corpus, Store, trainings, evaluations, registration and the first score of a file.

One MLflow run holds the runs of the stages and their timeline, in seconds since the process started. Each network is
trained and registered in turn, and the registry's rule decides which becomes champion. A stage with nothing left to do
does nothing, so the same command resumes a run that was stopped.
"""

import dataclasses
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline import cli, tracking
from pipeline.config import PRESETS, PROJECT_ROOT, REGISTERED_MODEL, SECTIONS, Config, ModelConfig, option, preset
from pipeline.errors import ConfigError

BACKBONES = next(f.metadata["choices"] for f in dataclasses.fields(ModelConfig) if f.name == "backbone")
NONE = "none"
AUTO = "auto"
HEADLINE = ("dev/eer", "eval/eer", "eval/seen/eer", "eval/unseen/eer", "eval/auc", "eval/min_dcf", "eval/cllr")
"""Metrics of the champion that main's run carries, so that the first screen of ``mlflow ui`` shows them."""
SMALL = "lcnn"
"""The best small network."""
RIVALS = {"demo": "demo-whisper", "default": "logspec+backbone=lcnn"}
"""Rival by preset, on the front end that measured best with it; of other presets it is ``SMALL``."""


@dataclass(frozen=True)
class MainOptions:
    """Networks to train beside the configured one."""

    rivals: str = option(
        AUTO,
        "further networks, comma separated: backbones, trained with the same settings, or presets, each with any "
        f"number of +option=value; the registry's rule makes one of all champion. {AUTO}: demo-whisper for the "
        f"preset demo, {SMALL} on logspec for the preset default, else {SMALL}; none: no other",
    )


def run(configs: list[Config]) -> None:
    """Run all stages, with a training per configuration on one Store; print the results and the next commands."""
    import mlflow

    from pipeline import corpora, evaluate, preprocess, register, score, train
    from pipeline.scoring import model_folders
    from pipeline.store.store import Store

    seconds: dict[str, float] = {}
    evaluations: dict[str, Path] = {}
    config = configs[0]
    names = " and ".join(own.model.backbone for own in configs)
    with tracking.run(f"{names} · {config.corpus.corpus}", stage="main", tags={"preset": config.preset}):
        tracking.log_config(config)

        def note(name, spent_s):
            seconds[name] = spent_s
            mlflow.log_metric(f"seconds/{name.replace(' ', '_')}", spent_s)

        def stage(name, work, *arguments):
            print(f"\n== {name} ==", flush=True)
            started = time.monotonic()
            result = work(*arguments)
            note(name, time.monotonic() - started)
            return result

        note("start", _process_s())
        corpus = stage("corpus", corpora.read, config.corpus)
        store_folder = stage("preprocess", partial(preprocess.ensure, corpus=corpus), config)
        for own in configs:
            backbone = own.model.backbone
            model_folder = stage(f"train {backbone}", train.train, own, store_folder)
            evaluations[model_folder.name] = stage(f"evaluate {backbone}", evaluate.run, model_folder, store_folder)
            stage(f"register {backbone}", register.register, model_folder)
        store = Store.open(store_folder)
        example = store.manifest.iloc[store.subset("eval")[0]]["path"]
        stage("score", score.main, [example])
        note("total", _process_s())
        champion = model_folders.ModelFolder.load(model_folders.champion_dir())
        mlflow.set_tag("champion", champion.model_version)
        mlflow.log_metrics(_headline(champion))
    print("\n== summary ==")
    print(timeline(seconds))
    print(f"\n{_models_text(evaluations, champion.model_version)}\n")
    shown = evaluations.get(champion.model_version) or list(evaluations.values())[-1]
    print(evaluate.table_text(shown))
    print(_next_steps(shown))


def _headline(champion: "ModelFolder") -> dict[str, float]:  # noqa: F821
    """Headline metrics of the champion, from the run that trained and evaluated it; none if that run is gone."""
    import mlflow

    if not tracking.exists(champion.run_id):
        return {}
    known = mlflow.MlflowClient().get_run(champion.run_id).data.metrics
    return {name: known[name] for name in HEADLINE if name in known}


def rivals(config: Config, given: str) -> list[Config]:
    """Configurations of further networks; raises ``ConfigError`` for an unknown network, preset or option.

    All share corpus and limits of recordings. A preset gets what ``config`` changes in its own preset, except for the
    options that the rival's preset names.
    """
    if given == AUTO:
        given = NONE if config.model.backbone == SMALL else RIVALS.get(config.preset, SMALL)
    found: dict[str, Config] = {}
    own = preset(config.preset).flat()
    changed = {name: value for name, value in config.flat().items() if value != own[name]}
    for rival in (name.strip() for name in given.split(",") if name.strip() != NONE):
        name, *changes = rival.split("+")
        if name in PRESETS:
            base = preset(name).replace(**{o: value for o, value in changed.items() if o not in PRESETS[name]})
            base = dataclasses.replace(base, corpus=config.corpus, audio=config.audio)
        elif name in BACKBONES:
            base = config.replace(backbone=name)
        else:
            raise ConfigError(f"--rivals {rival!r}: choose among {', '.join((*BACKBONES, *PRESETS))}, or {NONE}")
        if name in found or base == config:
            raise ConfigError(f"--rivals {given!r}: {name} twice; compare trains a network in several ways")
        found[name] = cli.changed(base, changes, f"--rivals {rival!r}")
    return list(found.values())


def timeline(seconds: dict[str, float]) -> str:
    """Seconds of each stage and its share of the last of them, the total."""
    whole_s = list(seconds.values())[-1]
    return "\n".join(f"{name:<26}{spent_s:8.1f} s {spent_s / whole_s:6.1%}" for name, spent_s in seconds.items())


def _process_s() -> float:
    """Seconds since this process was started, Python's own start included."""
    import psutil

    return time.time() - psutil.Process().create_time()


def _models_text(evaluations: dict[str, Path], champion: str) -> str:
    """EER of each model on dev and eval, the champion marked."""
    from pipeline.reporting.evaluation_summary import EvaluationSummary

    lines = [f"{'model':<34}{'dev EER':>10}{'eval EER':>10}"]
    for name, folder in evaluations.items():
        results = EvaluationSummary.read(folder).results
        rates = "".join(f"{100 * results[subset].metrics.get('eer', math.nan):8.2f} %" for subset in ("dev", "eval"))
        lines.append(f"{name:<34}{rates}{'  champion' if name == champion else ''}")
    if champion not in evaluations:
        lines.append(f"{champion:<34}{'':>20}  champion, of an earlier run")
    return "\n".join(lines)


def _next_steps(folder: Path) -> str:
    shown = folder.relative_to(PROJECT_ROOT) if folder.is_relative_to(PROJECT_ROOT) else folder
    return f"""
report          {shown / "report.html"}
figures         {shown / "figures"}
compare runs    make ui                                  then open http://127.0.0.1:5000
score a file    .venv/bin/python -m pipeline.score FILE_OR_FOLDER
serve           .venv/bin/mlflow models serve -m models:/{REGISTERED_MODEL}@champion --env-manager local"""


@cli.command(sections=tuple(SECTIONS), options=MainOptions, default_preset="demo")
def main(config: Config, options: MainOptions) -> int:
    """Entry point ``main``."""
    run([config, *rivals(config, options.rivals)])
    return 0


if __name__ == "__main__":
    cli.run(main)
