"""Tables of an evaluation for the terminal, from the same summary as the report."""

from collections.abc import Sequence

from pipeline.reporting import wording as form
from pipeline.reporting.evaluation_summary import EvaluationSummary


def text(summary: EvaluationSummary) -> str:
    """Tables as plain text: metrics of the subsets side by side, then pools and attacks, then robustness."""
    results = summary.results
    parts = [_plain(["", *results], [[name, *values] for name, _, values in form.metric_rows(results)])]
    parts.append(form.threshold(summary.model))
    if summary.rival:
        parts.append(form.rival_text(summary))
    for subset, result in results.items():
        if groups := form.ordered(result.groups):
            header = [f"{subset}: attack", "seen", "trials", "speakers", "EER (95 %)", ""]
            rows = [
                [form.title(g), form.seen(g), f"{g.trials:,}", f"{g.speakers:,}", form.eer(g), g.note] for g in groups
            ]
            parts.append(_plain(header, rows, left=(0, 1, 5)))
    if summary.robustness:
        rows = [[f"{r.condition} {r.value}".rstrip(), form.eer(r)] for r in summary.robustness]
        parts.append(_plain([f"{summary.main}: robustness", "EER (95 %)"], rows))
    return "\n\n".join(parts + form.warnings(summary))


def _plain(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)
