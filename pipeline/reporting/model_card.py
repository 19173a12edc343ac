"""The model card: a model in Markdown under the usual headings, from the same summary as the report.

Its beginning is what MLflow's registry shows as the description of a version, so the longest lists come last.
"""

from collections.abc import Mapping

from pipeline.reporting import wording as form

LIMITS = (
    "Attacks, languages, microphones, rooms and codecs that training did not hear can be far harder than these figures "
    "say; compare seen with unseen attacks below.",
    "It judges how speech was made, not what is said or who speaks, and says nothing about cut or reordered speech.",
    "Very short or very noisy recordings carry little evidence.",
)


def markdown(summary: Mapping) -> str:
    """The model card of an evaluation's summary."""
    results, model = summary["results"], summary["model"]
    columns = list(results)
    rows = ["| " + " | ".join(["", *columns]) + " |", "|---|" + "---:|" * len(columns)]
    rows += ["| " + " | ".join([name, *values]) + " |" for name, _, values in form.metric_rows(results)]
    data = [
        f"- {d['subset']}: {d['bonafide']:,} bonafide and {d['spoof']:,} spoof clips, {d['speakers']:,} speakers, "
        f"{d['attacks']:,} attacks, {d['hours']:.2f} h"
        for d in summary["data"]
    ]
    commands = [f"    {command}" for command in summary["commands"].values() if command]
    said = [f"{form.threshold(model)} {form.INTERVALS}", form.against_text(summary), _robustness(summary)]
    sections = {
        "Intended use": "Tells recordings of live human speech (bonafide) from speech that was replayed, synthesised "
        "or converted (spoof). A score is a log-likelihood ratio, higher = more bonafide. It is one piece of evidence, "
        "for triage and research; a person decides.",
        "Limits": "\n".join(f"- {limit}" for limit in (*form.warnings(summary), *LIMITS)),
        "Data": "\n".join([form.trained_on(summary), "", *data]),
        "Metrics": "\n".join([*rows, "", *(f"{text}\n" for text in said if text), *_groups(results)]),
        "Ethics": "A miss calls a person's real voice a fake, a false alarm lets a fake pass; which is worse depends "
        "on the use, and so does the threshold. Error rates can differ between languages, voices and recording "
        "conditions, above all those that training lacked: measure them on your own before relying on a score. "
        "Recordings of voices are personal data.",
        "Licence": "Code: Apache-2.0. The recordings keep the licences of their corpus; whether they allow the use and "
        "distribution of a model trained on them is for its user to check.",
        "Made by": "\n".join(commands) or "The command is not known.",
    }
    body = "".join(f"\n## {title}\n\n{content}\n" for title, content in sections.items())
    return f"# {model['version']}\n\n{form.lead(summary)}\n{body}"


def _groups(results: Mapping) -> list[str]:
    found = []
    for subset, result in results.items():
        for g in form.ordered(result["groups"]):
            note = f" ({g['note']})" if g["note"] else ""
            found.append(f"- {subset}, {_cell(g['name'])}: EER {form.rate(g)}, {g['trials']:,} spoof trials{note}")
    return found


def _robustness(summary: Mapping) -> str:
    """The clean EER and the worst of each condition, in a sentence."""
    rows = summary.get("robustness")
    if not rows:
        return ""
    clean, worst = rows[0], {}
    for row in rows[1:]:
        if row["condition"] not in worst or row["eer"] > worst[row["condition"]]["eer"]:
            worst[row["condition"]] = row
    said = ", ".join(f"{name} {row['value']} {100 * row['eer']:.1f} %" for name, row in worst.items())
    return f"Robustness on {summary['main']}, EER: clean {100 * clean['eer']:.1f} %; at worst {said}."


def _cell(value: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in value)
