"""Report of an evaluation as a web page.

Rendered from the summary that ``evaluate`` writes as ``evaluation.json``, like the tables of ``plain_text`` and the
model card, so they cannot disagree. The page is one file that needs no network: figures and sounds are inlined, without
a script.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from pipeline.reporting import wording as form
from pipeline.reporting.markup import encoded, gallery, image, note, page, pairs, table
from pipeline.reporting.wording import MISSING
from pipeline.store.shortcuts import ALL, FILE_FORMAT, LIMIT, NO_FORMAT

HEADLINE = ("eer", "auc", "min_dcf", "cllr")
GALLERIES = {"training_curves": "Training", "eval": "Eval", "dev": "Dev", "train": "Train", "examples": "Examples"}
"""Title of the figures by the first part of their names, in order."""
ELSEWHERE = ("reliability", "robustness", "against")
"""Figures that stand in sections of their own."""
WIDE, BARS = ("training_curves", "robustness", "against"), ("attacks",)
"""Figures, by the last part of their names, that take the page's whole width, or that of its text."""
MOST_ROWS = 50
"""Rows of a table of groups at most, the hardest; all are in ``groups.csv``."""


def html(summary: Mapping, figures: Mapping[str, bytes], clips: Sequence[tuple[bytes, bytes]] = ()) -> str:
    """The report as one self-contained page.

    Parameters
    ----------
    summary : see ``evaluation_summary.summarise``.
    figures : PNG by name (``training_curves``, ``eval/roc`` …), in the order of the page.
    clips : picture (PNG) and sound (FLAC) of each of the summary's clips.
    """
    model, results = summary["model"], summary["results"]
    head = [f"<h1>{escape(model['version'])}</h1>", f'<p class="lead">{escape(form.lead(summary))}</p>']
    head += [_headline(summary), *(f'<p class="warning">{escape(w)}</p>' for w in form.warnings(summary))]
    sections = {
        "Trained on": _trained_on(summary),
        "Results": _results(summary, figures),
        "Seen and unseen attacks": _attacks(summary, "pool"),
        "Attacks": _attacks(summary, "attack"),
        "Conditions": _conditions(summary),
        "Robustness": _robustness(summary, figures),
        "Shortcut audit": _shortcuts(summary),
        "Single clips": _clips(summary["clips"], clips, summary["main"]),
        "Calibration and thresholds": _calibration(summary, figures),
        "Figures": _galleries(figures),
        "Environment": pairs(summary["environment"] | {"run": model["run_id"] or MISSING})
        + "<h3>Settings</h3>"
        + pairs(summary["settings"]),
        "Command": _commands(summary),
    }
    title = f"{model['version']} on {summary['store']['name']}: {', '.join(results)}"
    return page(title, "\n".join(head), sections)


def _headline(summary: Mapping) -> str:
    """The main figures of the main subset, and how they compare with the other system."""
    subset = summary["main"]
    values = summary["results"][subset]["metrics"]
    if "eer" not in values:
        return ""
    cards = []
    for key in HEADLINE:
        value, _, interval = form.value(key, values).partition(" (")
        below = f'<div class="interval">95 %: {interval.rstrip(")")}</div>' if interval else ""
        label = f"{form.METRICS[key][0]}, {subset}"
        cards.append(f'<div><div class="label">{label}</div><div class="value">{value}</div>{below}</div>')
    against = form.against_text(summary)
    return f'<div class="headline">{"".join(cards)}</div>' + (f"<p>{escape(against)}</p>" if against else "")


def _trained_on(summary: Mapping) -> str:
    rows = [
        [d["subset"], *(f"{d[n]:,}" for n in ("bonafide", "spoof", "speakers", "attacks")), f"{d['hours']:.2f}"]
        for d in summary["data"]
    ]
    header = ["subset", "bonafide clips", "spoof clips", "speakers", "attacks", "hours"]
    return f"<p>{escape(form.trained_on(summary))}</p>" + table(header, rows)


def _results(summary: Mapping, figures: Mapping[str, bytes]) -> str:
    results = summary["results"]
    rows = [[name, *values, about] for name, about, values in form.metric_rows(results)]
    said = f"{form.threshold(summary['model'])} {form.INTERVALS}"
    parts = [table(["", *results, "what it is"], rows, about=True), note(said)]
    if against := summary.get("against"):
        parts.append(f"<h3>Against {escape(against['version'])}</h3>")
        rows = [
            [
                f"{subset}, {name}",
                f"{found['trials']:,}",
                form.percent(found["own_eer"]),
                form.percent(found["other_eer"]),
                _points(found),
                f"{found['own_right']:,} : {found['other_right']:,}",
                form.probability(found["p"]),
            ]
            for subset, groups in reversed(against["differences"].items())
            for name, found in groups.items()
        ]
        header = ["", "trials", "EER", "its EER", "gain in points (95 %)", "right alone", "McNemar p"]
        parts.append(table(header, rows))
        parts.append(
            note(
                "A paired bootstrap over speakers: both systems are measured on the same resamples. Right alone: "
                "trials that one system decides rightly at its own operating point and the other does not, this one "
                "first."
            )
        )
        parts.append(gallery({k: v for k, v in reversed(figures.items()) if k.endswith("/against")}, wide=WIDE))
    return "".join(parts)


def _points(found: Mapping) -> str:
    interval = "" if found["low"] is None else f" ({100 * found['low']:.1f} to {100 * found['high']:.1f})"
    return f"{100 * found['difference']:.1f}{interval}".replace("-", "−")


def _attacks(summary: Mapping, kind: str) -> str:
    header = ["", "seen in training", "spoof trials", "speakers", "EER (95 %)", ""]
    parts = []
    for subset, result in reversed(summary["results"].items()):
        rows = [
            [g["name"], form.seen(g), f"{g['trials']:,}", f"{g['speakers']:,}", form.rate(g), g["note"]]
            for g in form.ordered(result["groups"])
            if g["kind"] == kind
        ]
        if rows:
            parts.append(f"<h3>{escape(subset)}</h3>{table(header, rows, left=(0, 1, 5))}")
    said = "Spoof of each attack against all bonafide clips of the subset, the hardest attack first."
    return "".join(parts) + (note(said) if parts and kind == "attack" else "")


def _conditions(summary: Mapping) -> str:
    """A table for each condition of the main subset, and one of its speakers."""
    parts, subset = [], summary["main"]
    kept = [g for g in summary["results"][subset]["groups"] if g["kind"] in ("condition", "speaker")]
    for name, own in groupby(kept, key=lambda g: g["condition"] or "speaker"):
        groups = sorted(own, key=lambda g: -g["eer"])
        rows = [
            [g["name"], f"{g['bonafide']:,}", f"{g['trials']:,}", form.rate(g), _about(g)] for g in groups[:MOST_ROWS]
        ]
        parts.append(f"<h3>{escape(f'{subset}: {name}')}</h3>")
        parts.append(table([name, "bonafide", "spoof", "EER (95 %)", ""], rows, left=(0, 4)))
        if len(groups) > MOST_ROWS:
            parts.append(note(f"The hardest {MOST_ROWS} of {len(groups):,}; all are in groups.csv."))
        if len(groups) > summary["most_values"]:
            more = f"More than {summary['most_values']} values: no intervals, and none of it among MLflow's metrics."
            parts.append(note(more))
    said = (
        "A value that both classes have is its spoof against its bonafide clips. One that a single class has, such as "
        "a replay device, is measured against all clips of the other. Intervals of a single speaker are over clips. "
        "Conditions of other subsets are in groups.csv."
    )
    return "".join(parts) + (note(said) if parts else "")


def _about(group: Mapping) -> str:
    said = [f"against all {group['against']}"] if group["against"] else []
    return ", ".join(said + ([group["note"]] if group["note"] else []))


def _robustness(summary: Mapping, figures: Mapping[str, bytes]) -> str:
    rows = summary.get("robustness")
    if not rows:
        return note("Not measured; evaluate with --robustness true measures it.")
    cells = [[r["condition"], r["value"], form.rate(r), f"{r['trials']:,}"] for r in rows]
    said = (
        "Each trial degraded as said, with the same noise at every ratio. Babble is six live voices of other speakers; "
        "durations keep the middle of a clip, and all of a shorter one; +20 dB clips at full scale."
    )
    return (
        gallery({k: v for k, v in figures.items() if k == "robustness"}, wide=WIDE)
        + table(["condition", "", f"EER on {summary['main']} (95 %)", "trials"], cells, left=(0, 1))
        + note(said)
    )


def _shortcuts(summary: Mapping) -> str:
    """Area under the ROC by attack and kind of shortcut; what is worth a warning is bold."""
    findings = summary["shortcuts"]["findings"]
    if not findings:
        return note("Not possible: the Store holds one class or one speaker.")
    kinds = list(dict.fromkeys(f["kind"] for f in findings))
    rows = {}
    for f in findings:
        rows.setdefault(f["name"], {})[f["kind"]] = f
    cells = [
        [
            "all attacks" if name == ALL else name,
            *((form.area(own[kind]), own[kind]["low"] > LIMIT) for kind in kinds),
            f"{own[kinds[0]]['spoof_trials']:,}",
        ]
        for name, own in list(rows.items())[:MOST_ROWS]
    ]
    said = (
        "How well the classes of the whole Store are told apart without the voice: area under the ROC of a regression "
        "on what the column names, on speakers that it was not fitted on; 0.5 is chance. Silences: the recording with "
        f"its speech removed. Bold where the whole interval lies over {LIMIT}: such trials can be solved without "
        "listening." + ("" if FILE_FORMAT in kinds else f" {NO_FORMAT}")
    )
    return table(["attack", *kinds, "spoof clips"], cells, kind="wide-table") + note(said)


def _clips(known: Sequence[Mapping], media: Sequence[tuple[bytes, bytes]], subset: str) -> str:
    parts = []
    for right, title in ((True, "The surest right answers"), (False, "The worst mistakes")):
        articles = []
        for clip, (picture, sound) in zip(known, media, strict=True):
            if clip["right"] is right:
                place = Path(clip["path"])
                name = escape(f"{clip['utterance_id']}: {clip['label']}, score {clip['score']:+.2f}")
                link = escape(place.as_uri() if place.is_absolute() else clip["path"])
                articles.append(
                    f'<article><figure>{image(name, picture)}</figure><audio controls preload="none" '
                    f'src="data:audio/flac;base64,{encoded(sound)}"></audio>'
                    f'<p><a href="{link}">{escape(clip["path"])}</a></p></article>'
                )
        if articles:
            parts.append(f'<h3>{title} on {escape(subset)}</h3><div class="clips">{"".join(articles)}</div>')
    said = (
        "Above, the window that decided most; below it, where drawn, what each place adds to the score (integrated "
        "gradients): blue speaks for bonafide, orange for spoof. The player holds the first six seconds."
    )
    return "".join(parts) + (note(said) if parts else "")


def _calibration(summary: Mapping, figures: Mapping[str, bytes]) -> str:
    model, results = summary["model"], summary["results"]
    rows = []
    for subset, result in reversed(results.items()):
        for key in ("cllr", "act_dcf"):
            if key in result["uncalibrated"]:
                before, after = result["uncalibrated"][key], form.value(key, result["metrics"])
                rows.append([f"{form.METRICS[key][0]}, {subset}", f"{before:.4f}", after])
    fitted = (
        f"Score = {model['slope']:.3f} · logit {'+' if model['intercept'] >= 0 else '−'} "
        f"{abs(model['intercept']):.3f}, a logistic regression fitted on dev. A score is the natural logarithm of how "
        "much likelier a recording is under bonafide than under spoof."
    )
    parts = [f"<p>{escape(fitted)}</p>"]
    if rows:
        parts.append(table(["", "before calibration", "calibrated (95 %)"], rows))
    subsets = list(results)
    points = [
        [
            p["name"],
            form.signed(p["threshold"]),
            f"{p['prior_spoof']:g}",
            _errors((p["miss"], p["false_alarm"])),
            *(_errors(p["rates"].get(subset)) for subset in subsets),
        ]
        for p in summary["operating_points"]
    ]
    header = ["operating point", "threshold", "prior of spoof", "where it was chosen", *subsets]
    parts.append(table(header, points))
    parts.append(note("Misses / false alarms: bonafide called spoof, and the reverse. Dev alone chooses thresholds."))
    return "".join(parts) + gallery({k: v for k, v in reversed(figures.items()) if k.endswith("/reliability")})


def _errors(rates: Sequence[float | None] | None) -> str:
    return MISSING if rates is None or None in rates else " / ".join(form.percent(rate) for rate in rates)


def _galleries(figures: Mapping[str, bytes]) -> str:
    parts = []
    for first, title in GALLERIES.items():
        own = {
            name: picture
            for name, picture in figures.items()
            if name.split("/")[0] == first and name.split("/")[-1] not in ELSEWHERE
        }
        if own:
            parts.append(f"<h3>{title}</h3>{gallery(own, wide=WIDE, bars=BARS)}")
    return "".join(parts)


def _commands(summary: Mapping) -> str:
    lines = "\n".join(command for command in summary["commands"].values() if command)
    return f"<pre>{escape(lines)}</pre>"
