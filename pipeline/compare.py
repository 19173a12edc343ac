"""Comparison of configurations on one Store, each trained and evaluated with several seeds: a table and a figure.

Each training is a child run of one parent run. Finished trainings and evaluations are reused, so a stopped comparison
resumes, and one more configuration costs only its own trainings.
"""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from pipeline import cli, tracking
from pipeline.config import BONAFIDE, PRESETS, Config, artifacts_dir, option, preset
from pipeline.errors import ConfigError
from pipeline.metrics.assessment import metric_key
from pipeline.reporting import comparison
from pipeline.reporting.evaluation_summary import EvaluationSummary
from pipeline.scoring import model_folders
from pipeline.store.manifest import matching

TIMED_CLIPS = 40
Scores = dict[tuple[str, int], pd.DataFrame]
"""``scores.csv`` by configuration and seed."""


@dataclass(frozen=True)
class CompareOptions:
    """Configurations, seeds and Store to compare."""

    configs: str = option(
        "notebook,gmm,default,demo,demo-lcnn",
        "presets and YAML files, each with any number of +option=value, comma separated; the first is the yardstick",
    )
    seeds: str = option("0,1,2", "seeds of each, comma separated")
    families: str = option(
        "",
        "attack families, NAME=PATTERN,PATTERN;NAME=…: each configuration is also trained without each of them and "
        "measured on eval's clips of it (the demo's: tts=E00-P0[1-4]-*;vocoder=E00-P0[56]-*;replay=E0[1-9]-*)",
    )
    store: str = option("", "folder of a Store; empty: preprocess the corpus first")
    output: str = option("", "folder for table and figure; empty: artifacts/comparisons/STORE")


def configurations(options: CompareOptions, shared: Config) -> dict[str, Config]:
    """Name to configuration, in order; corpus and audio settings are the same for all."""
    found = {}
    for given in (name.strip() for name in options.configs.split(",")):
        base, *changes = given.split("+")
        if base not in PRESETS and not Path(base).is_file():
            raise ConfigError(f"--configs {base!r}: neither a preset ({', '.join(PRESETS)}) nor a file")
        config, _ = cli.resolve({"preset" if base in PRESETS else "config": base}, (), None, "default")
        config = cli.changed(config, changes, f"--configs {given!r}")
        key = (changes and _preset_of(config)) or "+".join([Path(base).stem, *changes])
        if key in found:
            raise ConfigError(f"--configs {given!r}: {key} is there already; give files of different names")
        values = {name: getattr(shared.corpus, name) for name in vars(shared.corpus)}
        found[key] = config.replace(**values, **vars(shared.audio))
    return found


def _preset_of(config: Config) -> str:
    """Name of the preset that the options of a configuration are those of; "" if there is none."""
    return next((name for name in PRESETS if preset(name) == dataclasses.replace(config, preset=name)), "")


def attack_families(given: str) -> dict[str, str]:
    """Family to the patterns of its attacks; raises ``ConfigError`` unless it is a list of ``NAME=PATTERN,…``."""
    found = {}
    for part in filter(None, (part.strip() for part in given.split(";"))):
        name, equals, patterns = part.partition("=")
        if not (name.strip() and equals and patterns.strip()):
            raise ConfigError(f"--families {part!r}: expected NAME=PATTERN,PATTERN, families separated by ;")
        found[name.strip()] = patterns.strip()
    return found


def run(
    configs: dict[str, Config],
    seeds: list[int],
    store_folder: Path,
    folder: Path,
    families: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Train and evaluate what is missing, write and log tables and figure; returns the table, a row per training.

    ``families`` maps the name of an attack family to its patterns, see ``TrainConfig.leave_out``.
    """
    import mlflow

    from pipeline import evaluate, train

    rows, scores = [], {}
    with tracking.run(f"compare {', '.join(configs)}", stage="compare"):
        # Names that differ from the options: `mlflow run` has logged those as they were typed.
        mlflow.log_params({"compared": ", ".join(configs), "over_seeds": str(seeds), "store_folder": store_folder.name})
        for name, config in configs.items():
            for seed in seeds:
                print(f"\n== {name}, seed {seed} ==", flush=True)
                model_folder = train.train(config.replace(seed=seed), store_folder)
                evaluation = evaluate.ensure(model_folder, store_folder)
                about = {"config": name, "seed": seed, "model": model_folder.name}
                rows.append({**about, **_figures(evaluation), **_cost(model_folder, store_folder)})
                scores[name, seed] = pd.read_csv(evaluation / "scores.csv", keep_default_na=False)
        table = pd.DataFrame(rows)
        by_family = _without_families(configs, seeds, store_folder, families, scores)
        pools = _pools(scores[next(iter(configs)), seeds[0]], evaluation)
        intervals = _intervals(list(configs), seeds, scores, pools)
        differences = _differences(list(configs), seeds, scores, pools)
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / "runs.csv", index=False)
        intervals.to_csv(folder / "intervals.csv", index=False)
        differences.to_csv(folder / "differences.csv", index=False)
        by_family.to_csv(folder / "families.csv", index=False)
        (folder / "comparison.md").write_text(comparison.markdown(table, intervals, differences, by_family), "utf-8")
        (folder / "comparison.png").write_bytes(comparison.picture(table, intervals))
        mlflow.log_artifacts(str(folder))
        for name, own in table.groupby("config"):
            means = own[list(comparison.MEASURES)].mean()
            mlflow.log_metrics({f"{metric_key(name)}/{measure}": float(mean) for measure, mean in means.items()})
    return table


def _without_families(
    configs: dict[str, Config],
    seeds: list[int],
    store_folder: Path,
    families: Mapping[str, str],
    scores: Scores,
) -> pd.DataFrame:
    """EER on eval's clips of each family, of the models trained with it and of those trained without it."""
    from pipeline import evaluate, metrics, train

    rows = []
    for family, patterns in families.items():
        for name, config in configs.items():
            for seed in seeds:
                print(f"\n== {name}, seed {seed}, without {family} ==", flush=True)
                model_folder = train.train(config.replace(seed=seed, leave_out=patterns), store_folder)
                without = pd.read_csv(evaluate.ensure(model_folder, store_folder) / "scores.csv", keep_default_na=False)
                eers = {}
                for what, trials in (("with", scores[name, seed]), ("without", without)):
                    bonafide, of_family = trials["label"] == BONAFIDE, matching(trials["attack"], patterns)
                    chosen = trials[(trials["subset"] == "eval") & (bonafide | of_family)]
                    eers[what] = metrics.eer(chosen["score"].to_numpy(), chosen["label"] == BONAFIDE)
                rows.append({"config": name, "family": family, "seed": seed, **eers})
    return pd.DataFrame(rows, columns=["config", "family", "seed", "with", "without"])


def _figures(evaluation: Path) -> dict[str, float]:
    """EER on dev, on eval, and on eval's seen and unseen attacks."""
    summary = EvaluationSummary.read(evaluation)
    pools = {group.name: group.eer for group in summary.groups("pool", "eval")}
    return {
        "dev": summary.results["dev"].metrics.get("eer", np.nan),
        "eval": summary.results["eval"].metrics.get("eer", np.nan),
        "seen": pools.get("seen", np.nan),
        "unseen": pools.get("unseen", np.nan),
    }


def _cost(model_folder: Path, store_folder: Path) -> dict[str, float]:
    """Parameters, milliseconds per clip on this machine, and size of the exported file in MB."""
    from pipeline.network import networks
    from pipeline.scoring.detector import Detector
    from pipeline.store.store import Store

    model = model_folders.ModelFolder.load(model_folder)
    store = Store.open(store_folder)
    rows = store.subset("eval")[:TIMED_CLIPS]
    waves = [store.waveform(row) for row in rows]
    detector, spent_s = Detector(model), []
    for wave in waves:
        started = time.perf_counter()
        detector.utterance_logit(wave)
        spent_s.append(time.perf_counter() - started)
    return {
        "parameters": networks.load(model.keras).count_params(),
        "ms_per_clip": 1000 * float(np.median(spent_s)),
        "size_mb": model.litert.stat().st_size / 1e6,
    }


def _pools(trials: pd.DataFrame, evaluation: Path) -> dict[str, np.ndarray]:
    """Trials that each EER is measured on, ``[trials]`` bool; pools of one class are left out."""
    seen = {group.name for group in EvaluationSummary.read(evaluation).groups("attack", "eval") if group.seen}
    bonafide = (trials["label"] == BONAFIDE).to_numpy()
    in_eval, is_seen = (trials["subset"] == "eval").to_numpy(), trials["attack"].isin(seen).to_numpy()
    pools = {
        "dev": (trials["subset"] == "dev").to_numpy(),
        "seen": in_eval & (bonafide | is_seen),
        "unseen": in_eval & (bonafide | ~is_seen),
        "eval": in_eval,
    }
    return {name: chosen for name, chosen in pools.items() if 0 < bonafide[chosen].sum() < chosen.sum()}


def _trials(
    name: str, seeds: list[int], scores: Scores, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores ``[seeds, trials]`` of a configuration on the chosen trials, with their labels and speakers."""
    trials = scores[name, seeds[0]][chosen]
    speakers = trials["speaker"].where(trials["speaker"] != "", trials["utterance_id"]).astype(str).to_numpy()
    runs = np.stack([scores[name, seed]["score"].to_numpy()[chosen] for seed in seeds])
    return runs, (trials["label"] == BONAFIDE).to_numpy(), speakers


def _intervals(names: list[str], seeds: list[int], scores: Scores, pools: dict[str, np.ndarray]) -> pd.DataFrame:
    """Ends of the 95 % interval over speakers of the mean EER, a row per configuration and pool.

    NaN for a pool of one speaker.
    """
    from pipeline.metrics import MetricError, bootstrap

    rows = []
    for name in names:
        for pool, chosen in pools.items():
            try:
                low, high = bootstrap.eer_interval(*_trials(name, seeds, scores, chosen))
            except MetricError:
                low, high = np.nan, np.nan
            rows.append({"config": name, "pool": pool, "low": low, "high": high})
    return pd.DataFrame(rows)


def _differences(names: list[str], seeds: list[int], scores: Scores, pools: dict[str, np.ndarray]) -> pd.DataFrame:
    """EER of the yardstick minus that of each other configuration, mean over the seeds, on the same trials.

    The ends of its interval are NaN for a pool of one speaker.
    """
    from pipeline import metrics
    from pipeline.metrics import MetricError, bootstrap

    rows = []
    for name in names[1:]:
        for pool in (pool for pool in ("seen", "unseen") if pool in pools):
            yardstick, labels, speakers = _trials(names[0], seeds, scores, pools[pool])
            own, _, _ = _trials(name, seeds, scores, pools[pool])
            eers = [np.mean([metrics.eer(run, labels) for run in runs]) for runs in (yardstick, own)]
            gain = float(eers[0] - eers[1])
            try:
                _, low, high = bootstrap.eer_difference(yardstick, own, labels, speakers)
            except MetricError:
                low, high = np.nan, np.nan
            rows.append(
                {"config": name, "yardstick": names[0], "attacks": pool, "gain": gain, "low": low, "high": high}
            )
    return pd.DataFrame(rows, columns=["config", "yardstick", "attacks", "gain", "low", "high"])


@cli.command(sections=("corpus", "audio"), options=CompareOptions)
def main(config: Config, options: CompareOptions) -> int:
    """Entry point ``compare``."""
    from pipeline import preprocess

    try:
        seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError:
        raise ConfigError(f"--seeds {options.seeds!r}: expected whole numbers, comma separated") from None
    configs, families = configurations(options, config), attack_families(options.families)
    store_folder = Path(options.store) if options.store else preprocess.ensure(config)
    folder = Path(options.output) if options.output else artifacts_dir() / "comparisons" / store_folder.name
    run(configs, seeds, store_folder, folder, families)
    print((folder / "comparison.md").read_text(encoding="utf-8"))
    print(f"table, differences and figure: {folder}")
    return 0


if __name__ == "__main__":
    cli.run(main)
