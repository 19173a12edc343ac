"""Searches with and without pruning: trials per hour, and the best dev EER, for each study seed.

All searches start from the same configuration and run the same number of trials. The hours are the sum of the trials'
durations in the study, divided by its workers, so the same command resumes a stopped benchmark.
"""

import argparse
import statistics
from pathlib import Path

import optuna
from optuna.trial import TrialState

from benchmarks import compared
from benchmarks.compared import Figure
from pipeline.config import artifacts_dir
from tuning import search, study, trial

PLAIN = "without pruning"
MODES = {PLAIN: ["--no_pruning"], "hyperband": ["--pruner", "hyperband"], "halving": ["--pruner", "halving"]}


def run(seed: int, mode: str, storage: str, options: argparse.Namespace, more: list[str]) -> tuple[float, float, str]:
    """Run one search; returns the values of ``measured``."""
    name = f"{options.preset}-{options.epochs}-{mode.replace(' ', '-')}-{seed}"
    folder = artifacts_dir() / "tuning" / "benchmark" / name
    command = ["--preset", options.preset, "--epochs", str(options.epochs), "--trials", str(options.trials)]
    command += ["--study", name, "--seed", str(seed), "--storage", storage, "--output", str(folder)]
    command += ["--workers", str(options.workers)]
    search.main([*command, "--final_seeds", "none", *MODES[mode], *more])
    return measured(study.load(study.storage(storage, 60), name), options.trials, options.workers)


def measured(own: optuna.Study, trials: int, workers: int) -> tuple[float, float, str]:
    """Trials per hour, best dev EER and counts by state, of the first ``trials`` trials."""
    first = own.get_trials(deepcopy=False, states=study.FINISHED)[:trials]
    hours = sum(one.duration.total_seconds() for one in first) / 3600 / workers
    complete = [one for one in first if one.state == TrialState.COMPLETE]
    best = min(one.user_attrs[trial.DEV]["dev/eer"] for one in complete)
    return len(first) / hours, best, f"{len(complete)} complete, {len(first) - len(complete)} pruned"


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="Other options go to the search.")
    parser.add_argument("--trials", type=int, default=20, help="trials of each search (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=16, help="epochs of a trial (default: %(default)s)")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the studies (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes of each search (default: %(default)s)")
    parser.add_argument("--preset", default="demo", help="preset to start from (default: %(default)s)")
    options, more = parser.parse_known_args()
    folder = artifacts_dir() / "tuning"
    Path(folder).mkdir(parents=True, exist_ok=True)
    found = {
        (mode, seed): run(seed, mode, f"sqlite:///{folder / 'benchmark.db'}", options, more)
        for seed in map(int, options.seeds.split(","))
        for mode in MODES
    }
    print(f"\n{'seed':<6}{'':<18}{'trials/h':>9}{'best dev EER':>14}  trials")
    for (mode, seed), (rate, eer, counts) in found.items():
        print(f"{seed:<6}{mode:<18}{rate:>9.1f}{100 * eer:>12.2f} %  {counts}")
    rates = {name: [rate for (mode, _), (rate, *_) in found.items() if mode == name] for name in MODES}
    for mode in MODES:
        best = statistics.mean(100 * eer for (name, _), (_, eer, _) in found.items() if name == mode)
        print(f"{mode}: mean of the best dev EERs {best:.2f} %")
        if mode != PLAIN:
            print(Figure("× as many trials per hour", compared.ratios(rates[mode], rates[PLAIN])).measured)


if __name__ == "__main__":
    main()
