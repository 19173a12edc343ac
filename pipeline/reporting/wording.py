"""How figures are put into words and cells: what the report, the model card and the printed tables share."""

from collections.abc import Mapping, Sequence

METRICS = {
    "eer": ("EER", "equal error rate: misses and false alarms are equally frequent; lower is better"),
    "auc": ("ROC AUC", "chance that a bonafide clip scores above a spoofed one; 1 is perfect, 0.5 chance"),
    "min_dcf": ("minDCF", "least detection cost (spoof 5 %, a false alarm costs 10 misses); 1 says nothing"),
    "act_dcf": ("actDCF", "the same cost at the threshold that calibrated scores should have"),
    "cllr": ("Cllr", "cost of the scores as log-likelihood ratios, in bits; 0 is perfect, 1 says nothing"),
    "accuracy": ("accuracy", "share of right decisions at the threshold"),
    "precision": ("precision", "share of bonafide among clips called bonafide"),
    "recall": ("recall", "share of bonafide clips called bonafide"),
    "f1": ("F1", "harmonic mean of precision and recall"),
    "loss": ("loss", "binary cross-entropy of the raw output, in nats"),
}
"""Label and meaning of each figure of merit, in the order of the tables."""
MISSING = "–"
INTERVALS = (
    "Intervals, in parentheses, are 95 % bootstrap intervals over speakers (over clips where speakers are unknown)."
)


def lead(summary: Mapping) -> str:
    """What was evaluated on what, in one sentence."""
    settings, store = summary["settings"], summary["store"]
    return (
        f"Preset {settings['preset']}: {settings['backbone']} on {settings['front_end']} spectrograms of "
        f"{settings['clip_s']:g} s, evaluated on {' and '.join(summary['results'])} of {store['name']}."
    )


def trained_on(summary: Mapping) -> str:
    """Which corpus the model is from, and whether the figures are of the same Store."""
    store, settings = summary["store"], summary["settings"]
    if not store["of_training"]:
        return (
            f"The model was trained on the corpus {settings['corpus']}. The figures here are of another Store, "
            f"{store['folder']}, split by {store['split_by']}:"
        )
    return f"Corpus {store['name']}, split by {store['split_by']} (Store {store['folder']})."


def warnings(summary: Mapping) -> list[str]:
    """What makes the figures doubtful."""
    store, found = summary["store"], []
    if store["split_by"] == "stratified":
        found.append("The split was drawn clip by clip, so train and eval share speakers: these figures leak.")
    if store["name"] == "synthetic":
        found.append("The corpus is synthetic sound for tests: these figures say nothing about real speech.")
    found += [f"{subset}: {r['note']}." for subset, r in summary["results"].items() if r["note"]]
    return found + list(summary.get("shortcuts", {}).get("warnings", ()))


def threshold(model: Mapping) -> str:
    """The operating point of the decisions, and its error rates on dev where they were measured."""
    said = f"Decisions at the operating point {model['operating_point']}: score {signed(model['threshold'])}"
    if model["miss"] is None:
        return f"{said}, which follows from its prior and costs."
    return (
        f"{said}, chosen on dev, where it has {100 * model['miss']:.1f} % misses and "
        f"{100 * model['false_alarm']:.1f} % false alarms."
    )


def against_text(summary: Mapping) -> str:
    """The comparison with the other system on the main subset, in one sentence; empty without one."""
    against = summary.get("against")
    found = against and against["differences"].get(summary["main"], {}).get("all attacks")
    if not found:
        return ""
    interval = "not defined" if found["low"] is None else f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"
    change = "gains" if found["difference"] >= 0 else "loses"
    return (
        f"Against {against['version']}, whose EER on {summary['main']} is {100 * found['other_eer']:.2f} %, it "
        f"{change} {100 * abs(found['difference']):.1f} percentage points (95 % interval of the gain "
        f"{interval.replace('-', '−')}). At "
        f"the operating points of both, it alone is right on {found['own_right']:,} trials and the other alone on "
        f"{found['other_right']:,} (McNemar's exact p {probability(found['p'])})."
    )


def probability(p: float) -> str:
    """A p-value as it is printed."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def signed(score: float) -> str:
    """Two decimals and a sign, none for zero."""
    return f"{score:+.2f}".replace("+0.00", "0.00").replace("-0.00", "0.00").replace("-", "−")


def metric_rows(results: Mapping) -> list[tuple[str, str, list[str]]]:
    """Name, meaning and the value in each subset, of every figure that some subset has."""
    rows = []
    for key, (name, about) in METRICS.items():
        values = [value(key, result["metrics"]) for result in results.values()]
        if any(v != MISSING for v in values):
            rows.append((name, about, values))
    return rows


def value(key: str, values: Mapping[str, float]) -> str:
    """A figure of merit with its interval."""
    if key not in values:
        return MISSING
    if key == "eer":
        return rate(values)
    low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
    return f"{values[key]:.4f}" + ("" if low is None else f" ({low:.3f}–{high:.3f})")


def rate(values: Mapping) -> str:
    """An EER with its interval, in %."""
    low, high = values.get("eer_low"), values.get("eer_high")
    interval = "" if low is None else f" ({100 * low:.1f}–{100 * high:.1f})"
    return f"{100 * values['eer']:.2f} %{interval}"


def area(values: Mapping) -> str:
    """An area under the ROC with its interval."""
    return f"{values['auc']:.2f} ({values['low']:.2f}–{values['high']:.2f})"


def percent(share: float | None) -> str:
    """A share in %."""
    return MISSING if share is None else f"{100 * share:.1f} %"


def ordered(groups: Sequence[Mapping]) -> list[Mapping]:
    """Pools first, then attacks from the hardest to the easiest; no other groups."""
    kept = [g for g in groups if g["kind"] in ("pool", "attack")]
    return sorted(kept, key=lambda g: (g["kind"] != "pool", g["name"] if g["kind"] == "pool" else "", -g["eer"]))


def seen(group: Mapping) -> str:
    """Whether training heard an attack."""
    return {True: "yes", False: "no", None: MISSING}[group["seen"]]
