"""What an evaluation says, for people: a web page, a model card and tables for the terminal.

All three are rendered from the same summary, the one that ``evaluate`` writes as ``evaluation.json``, so they cannot
disagree. The page is one file that needs no network: figures are inlined, and there is no script in it.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

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
HEADLINE = ("eer", "auc", "min_dcf", "cllr")
MISSING = "–"
TITLES = {
    "training_curves": "Training",
    "eval": "Figures: eval",
    "dev": "Figures: dev",
    "train": "Figures: train",
    "examples": "What the model hears",
}
STYLE = """
:root { --ink: #1d1d1f; --soft: #5c6066; --line: #d9dce0; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 62rem; background: #fff; color: var(--ink);
  font: 16px/1.55 "Source Serif 4", "Iowan Old Style", Charter, Georgia, "DejaVu Serif", serif; }
h1, h2, h3, th, .label, figcaption { font-family: "Inter", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .8rem; padding-top: .7rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1rem; margin: 1.6rem 0 .5rem; }
p { margin: .5rem 0; max-width: 44rem; }
.lead, .note { color: var(--soft); }
.note { font-size: .88rem; }
.warning { border-left: 4px solid #c25400; padding: .3rem .9rem; background: #fdf4ec; max-width: none; }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1rem 2rem;
  margin: 1.5rem 0; }
.label { font-size: .82rem; color: var(--soft); }
.value { font-size: 2rem; line-height: 1.2; }
.interval { font-size: .88rem; color: var(--soft); }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th { font-size: .82rem; font-weight: 600; text-align: left; color: var(--soft); vertical-align: bottom; }
th, td { padding: .28rem 1.6rem .28rem 0; border-bottom: 1px solid var(--line); }
td { vertical-align: top; }
td:first-child { min-width: 6rem; }
.number { text-align: right; white-space: nowrap; }
td.about { color: var(--soft); font-size: .85rem; }
.figures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.2rem 1.6rem; align-items: start; }
.figures .wide { grid-column: 1 / -1; }
.figures .bars { grid-column: 1 / -1; max-width: 44rem; }
figure { margin: 0; break-inside: avoid; }
img { max-width: 100%; height: auto; display: block; }
pre { background: #f5f6f7; padding: .7rem .9rem; overflow-x: auto; white-space: pre-wrap; font-size: .85rem; }
.columns { columns: 2; column-gap: 2.5rem; }
.columns table { width: 100%; margin: 0; }
.columns tr { break-inside: avoid; }
.columns td { overflow-wrap: anywhere; }
@media (max-width: 44rem) { .figures { grid-template-columns: minmax(0, 1fr); } .columns { columns: 1; } }
@media print {
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
}
@page { margin: 16mm; }
"""


def text(summary: Mapping) -> str:
    """The tables as plain text: all figures of the subsets side by side, then pools and attacks."""
    results, model = summary["results"], summary["model"]
    parts = [_plain(["", *results], [[name, *values] for name, _, values in _metric_rows(results)])]
    parts.append(_threshold(model))
    for subset, result in results.items():
        if result["groups"]:
            rows = [
                [g["name"], _seen(g), f"{g['trials']:,}", f"{g['speakers']:,}", _rate(g), g["note"]]
                for g in _ordered(result["groups"])
            ]
            header = [f"{subset}: attack", "seen", "trials", "speakers", "EER (95 %)", ""]
            parts.append(_plain(header, rows, left=(0, 1, 5)))
    return "\n\n".join(parts + _warnings(summary))


def html(summary: Mapping, figures: Mapping[str, bytes]) -> str:
    """The report as one self-contained page.

    Parameters
    ----------
    summary : see ``evaluate.summarise``.
    figures : PNG by name (``training_curves``, ``eval/roc`` …), in the order of the page.
    """
    model, results, store = summary["model"], summary["results"], summary["store"]
    head = [f"<h1>{escape(model['version'])}</h1>", f'<p class="lead">{escape(_lead(summary))}</p>']
    head += [f'<p class="warning">{escape(warning)}</p>' for warning in _warnings(summary)]
    head.append(_headline(results))
    data = [
        [d["subset"], *(f"{d[n]:,}" for n in ("bonafide", "spoof", "speakers", "attacks")), f"{d['hours']:.2f}"]
        for d in summary["data"]
    ]
    sections = {
        "Trained on": f"<p>{escape(_trained_on(summary))}</p>"
        + _table(["subset", "bonafide clips", "spoof clips", "speakers", "attacks", "hours"], data),
        "Results": _table(
            ["", *results, "what it is"],
            [[name, *values, about] for name, about, values in _metric_rows(results)],
            about=True,
        )
        + f'<p class="note">{escape(_threshold(model))} {escape(_INTERVALS)}</p>',
    }
    for subset, result in reversed(results.items()):
        if result["groups"]:
            sections[f"Attacks: {subset}"] = _attack_tables(result["groups"])
    for name, title in TITLES.items():
        chosen = {key: picture for key, picture in figures.items() if key.split("/")[0] == name}
        if chosen:
            sections[title] = _gallery(chosen)
    commands = "\n".join(command for command in summary["commands"].values() if command)
    sections["Made by"] = f"<h3>Commands</h3><pre>{escape(commands)}</pre>"
    sections["Made by"] += "<h3>Environment</h3>" + _pairs(summary["environment"] | {"run": model["run_id"] or MISSING})
    sections["Made by"] += "<h3>Settings</h3>" + _pairs(summary["settings"])
    body = "\n".join(head) + "".join(f"\n<h2>{escape(title)}</h2>\n{content}" for title, content in sections.items())
    title = f"{model['version']} on {store['name']}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def model_card(summary: Mapping) -> str:
    """A model card in Markdown, under the usual headings."""
    results, model = summary["results"], summary["model"]
    columns = list(results)
    rows = ["| " + " | ".join(["", *columns]) + " |", "|---|" + "---:|" * len(columns)]
    rows += ["| " + " | ".join([name, *values]) + " |" for name, _, values in _metric_rows(results)]
    groups = []
    for subset, result in results.items():
        for g in _ordered(result["groups"]):
            note = f" ({g['note']})" if g["note"] else ""
            groups.append(f"- {subset}, {_cell(g['name'])}: EER {_rate(g)}, {g['trials']:,} spoof trials{note}")
    data = [
        f"- {d['subset']}: {d['bonafide']:,} bonafide and {d['spoof']:,} spoof clips, {d['speakers']:,} speakers, "
        f"{d['attacks']:,} attacks, {d['hours']:.2f} h"
        for d in summary["data"]
    ]
    commands = [f"    {command}" for command in summary["commands"].values() if command]
    sections = {
        "Intended use": "Tells recordings of live human speech (bonafide) from speech that was replayed, synthesised "
        "or converted (spoof). A score is a log-likelihood ratio, higher = more bonafide. It is one piece of evidence, "
        "for triage and research; a person decides.",
        "Limits": "\n".join(f"- {limit}" for limit in (*_warnings(summary), *_LIMITS)),
        "Data": "\n".join([_trained_on(summary), "", *data]),
        "Metrics": "\n".join([*rows, "", f"{_threshold(model)} {_INTERVALS}", "", *groups]),
        "Ethics": "A miss calls a person's real voice a fake, a false alarm lets a fake pass; which is worse depends "
        "on the use, and so does the threshold. Error rates can differ between languages, voices and recording "
        "conditions, above all those that training lacked: measure them on your own before relying on a score. "
        "Recordings of voices are personal data.",
        "Licence": "Code: Apache-2.0. The recordings keep the licences of their corpus; whether they allow the use and "
        "distribution of a model trained on them is for its user to check.",
        "Made by": "\n".join(commands) or "The command is not known.",
    }
    body = "".join(f"\n## {title}\n\n{content}\n" for title, content in sections.items())
    return f"# {model['version']}\n\n{_lead(summary)}\n{body}"


_INTERVALS = "Intervals of the EER are 95 % bootstrap intervals over speakers."
_LIMITS = (
    "Attacks, languages, microphones, rooms and codecs that training did not hear can be far harder than these figures "
    "say; compare seen with unseen attacks below.",
    "It judges how speech was made, not what is said or who speaks, and says nothing about cut or reordered speech.",
    "Very short or very noisy recordings carry little evidence.",
)


def _lead(summary: Mapping) -> str:
    settings, store = summary["settings"], summary["store"]
    return (
        f"Preset {settings['preset']}: {settings['backbone']} on {settings['front_end']} spectrograms of "
        f"{settings['clip_s']:g} s, evaluated on {' and '.join(summary['results'])} of {store['name']}."
    )


def _trained_on(summary: Mapping) -> str:
    store, settings = summary["store"], summary["settings"]
    if not store["of_training"]:
        return (
            f"The model was trained on the corpus {settings['corpus']}. The figures here are of another Store, "
            f"{store['folder']}, split by {store['split_by']}:"
        )
    return f"Corpus {store['name']}, split by {store['split_by']} (Store {store['folder']})."


def _warnings(summary: Mapping) -> list[str]:
    store, found = summary["store"], []
    if store["split_by"] == "stratified":
        found.append("The split was drawn clip by clip, so train and eval share speakers: these figures leak.")
    if store["name"] == "synthetic":
        found.append("The corpus is synthetic sound for tests: these figures say nothing about real speech.")
    found += [f"{subset}: {r['note']}." for subset, r in summary["results"].items() if r["note"]]
    return found


def _threshold(model: Mapping) -> str:
    return (
        f"Decisions at the operating point {model['operating_point']}: score {_signed(model['threshold'])}, chosen "
        f"on dev, where it has {100 * model['miss']:.1f} % misses and {100 * model['false_alarm']:.1f} % false alarms."
    )


def _signed(score: float) -> str:
    """Two decimals and a sign, none for zero."""
    return f"{score:+.2f}".replace("+0.00", "0.00").replace("-0.00", "0.00").replace("-", "−")


def _metric_rows(results: Mapping) -> list[tuple[str, str, list[str]]]:
    """Name, meaning and the value in each subset, of every figure that some subset has."""
    rows = []
    for key, (name, about) in METRICS.items():
        values = [_value(key, result["metrics"]) for result in results.values()]
        if any(value != MISSING for value in values):
            rows.append((name, about, values))
    return rows


def _value(key: str, values: Mapping[str, float]) -> str:
    if key not in values:
        return MISSING
    return _rate(values) if key == "eer" else f"{values[key]:.4f}"


def _rate(values: Mapping) -> str:
    low, high = values.get("eer_low"), values.get("eer_high")
    interval = "" if low is None else f" ({100 * low:.1f}–{100 * high:.1f})"
    return f"{100 * values['eer']:.2f} %{interval}"


def _ordered(groups: Sequence[Mapping]) -> list[Mapping]:
    """Pools first, then attacks from the hardest to the easiest."""
    return sorted(groups, key=lambda g: (g["kind"] != "pool", g["name"] if g["kind"] == "pool" else "", -g["eer"]))


def _seen(group: Mapping) -> str:
    return {True: "yes", False: "no", None: MISSING}[group["seen"]]


def _headline(results: Mapping) -> str:
    """The main figures of eval, or of the last subset that has them."""
    complete = [name for name, result in results.items() if "eer" in result["metrics"]]
    if not complete:
        return ""
    subset = "eval" if "eval" in complete else complete[-1]
    values = results[subset]["metrics"]
    cards = []
    for key in HEADLINE:
        value, _, interval = _value(key, values).partition(" (")
        note = f'<div class="interval">95 %: {interval.rstrip(")")}</div>' if interval else ""
        label = f"{METRICS[key][0]}, {subset}"
        cards.append(f'<div><div class="label">{label}</div><div class="value">{value}</div>{note}</div>')
    return f'<div class="headline">{"".join(cards)}</div>'


def _attack_tables(groups: Sequence[Mapping]) -> str:
    header = ["", "seen in training", "spoof trials", "speakers", "EER (95 %)", ""]
    rows = [
        [g["name"], _seen(g), f"{g['trials']:,}", f"{g['speakers']:,}", _rate(g), g["note"]] for g in _ordered(groups)
    ]
    note = "Spoof of each attack against all bonafide clips of the subset, the hardest attack first."
    return f'{_table(header, rows, left=(0, 1, 5))}<p class="note">{note}</p>'


def _gallery(figures: Mapping[str, bytes]) -> str:
    tags = []
    for name, picture in figures.items():
        kind = "wide" if name == "training_curves" else "bars" if name.endswith("/attacks") else "plain"
        source = base64.b64encode(picture).decode()
        tags.append(f'<figure class="{kind}"><img alt="{escape(name)}" src="data:image/png;base64,{source}"></figure>')
    return f'<div class="figures">{"".join(tags)}</div>'


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,), about: bool = False
) -> str:
    """A table; columns outside ``left`` are numbers. With ``about`` the last column explains the row."""
    kinds = ["" if i in left else ' class="number"' for i in range(len(header))]
    if about:
        kinds[-1] = ' class="about"'
    top = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, header, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _pairs(values: Mapping[str, object]) -> str:
    rows = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in values.items())
    return f'<div class="columns"><table><tbody>{rows}</tbody></table></div>'


def _plain(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in value)
