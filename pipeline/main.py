"""The whole way at once: corpus, Store, training, evaluation, registration and the first score of a file.

One MLflow run holds the runs of the stages and how long each took. Every stage does nothing where it has nothing left
to do, so a run that was stopped goes on by the same command.
"""

import time
from pathlib import Path

from pipeline import cli, tracking
from pipeline.config import PROJECT_ROOT, REGISTERED_MODEL, Config

SECTIONS = ("corpus", "audio", "front_end", "augment", "model", "train")
OPTIONS = None


def run(config: Config) -> None:
    """All stages of a configuration, then what a person wants to know next."""
    import mlflow

    from pipeline import evaluate, preprocess, registry, score, train
    from pipeline.store import Store

    seconds: dict[str, float] = {}
    with tracking.run(config.preset, stage="main", tags={"preset": config.preset}):
        tracking.log_config(config)

        def stage(name, work, *arguments):
            print(f"\n== {name} ==", flush=True)
            started = time.monotonic()
            result = work(*arguments)
            seconds[name] = time.monotonic() - started
            mlflow.log_metric(f"seconds/{name}", seconds[name])
            return result

        store_folder = stage("preprocess", preprocess.ensure, config)
        model_folder = stage("train", train.train, config, store_folder)
        folder = stage("evaluate", evaluate.run, model_folder, store_folder)
        stage("register", registry.register, model_folder)
        store = Store.open(store_folder)
        example = store.manifest.iloc[store.subset("eval")[0]]["path"]
        stage("score", score.main, [example])
    print("\n== summary ==")
    for name, spent_s in seconds.items():
        print(f"{name:<12}{spent_s:8.1f} s")
    print(evaluate.table_text(folder))
    print(_next_steps(folder))


def _next_steps(folder: Path) -> str:
    shown = folder.relative_to(PROJECT_ROOT) if folder.is_relative_to(PROJECT_ROOT) else folder
    return f"""
report          {shown / "report.html"}
figures         {shown / "figures"}
compare runs    make ui                                  then open http://127.0.0.1:5000
score a file    .venv/bin/python -m pipeline.score FILE_OR_FOLDER
serve           .venv/bin/mlflow models serve -m models:/{REGISTERED_MODEL}@champion --env-manager local"""


def main(argv: list[str] | None = None) -> int:
    """Entry point ``main``."""
    config, _ = cli.parse(
        __doc__.split("\n\n")[0], sections=SECTIONS, options=OPTIONS, default_preset="demo", argv=argv
    )
    run(config)
    return 0


if __name__ == "__main__":
    cli.run(main)
