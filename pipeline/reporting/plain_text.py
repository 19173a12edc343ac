"""Tables of an evaluation for the terminal, from the same summary as the report."""

from collections.abc import Mapping, Sequence

from pipeline.reporting import wording as form


def text(summary: Mapping) -> str:
    """The tables as plain text: all figures of the subsets side by side, then pools and attacks."""
    results, model = summary["results"], summary["model"]
    parts = [_plain(["", *results], [[name, *values] for name, _, values in form.metric_rows(results)])]
    parts.append(form.threshold(model))
    if against := form.against_text(summary):
        parts.append(against)
    for subset, result in results.items():
        if groups := form.ordered(result["groups"]):
            rows = [
                [g["name"], form.seen(g), f"{g['trials']:,}", f"{g['speakers']:,}", form.rate(g), g["note"]]
                for g in groups
            ]
            header = [f"{subset}: attack", "seen", "trials", "speakers", "EER (95 %)", ""]
            parts.append(_plain(header, rows, left=(0, 1, 5)))
    if rows := summary.get("robustness"):
        cells = [[f"{r['condition']} {r['value']}".rstrip(), form.rate(r)] for r in rows]
        parts.append(_plain([f"{summary['main']}: robustness", "EER (95 %)"], cells))
    return "\n\n".join(parts + form.warnings(summary))


def _plain(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)
