"""Matrix of a cross-corpus evaluation: as a table, as Markdown and as a figure.

Pure functions of the table that ``cross`` makes, a row per cell: ``trained_on``, ``corpus``, ``phase``, ``bonafide``,
``spoof``, ``eer``, ``eer_low``, ``eer_high``, ``own`` (the model was trained on that corpus) and ``note``.
"""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.reporting import style

WORST = 50.0
"""EER, in %, of a model at chance: the end of the colours."""
COLOURS = LinearSegmentedColormap.from_list("eer", ["#ffffff", "#cfe3f1", "#6aaed6", style.BLUE])


def columns(table: pd.DataFrame) -> pd.Series:
    """Column of each cell: its corpus, with the phase of the challenge if it has phases."""
    return (table["corpus"] + " " + table["phase"]).str.strip()


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """EER, ``[models, corpora]``, in the order of the cells."""
    cells = table.assign(column=columns(table))
    matrix = cells.pivot(index="trained_on", columns="column", values="eer").astype(float)
    return matrix.loc[cells["trained_on"].unique(), cells["column"].unique()]


def markdown(table: pd.DataFrame) -> str:
    """EER in % with its interval; * marks models trained on the corpus."""
    cells = table.assign(column=columns(table)).set_index(["trained_on", "column"])
    rows, names = table["trained_on"].unique(), columns(table).unique()
    lines = [
        "EER in % on eval (95 % interval over speakers), * trained on this corpus; pooled: one threshold for all",
        "",
        "| trained on | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for row in rows:
        texts = [
            " ".join(_lines(cells.loc[(row, name)])) + (" *" if cells.loc[(row, name), "own"] else "") for name in names
        ]
        lines.append("| " + " | ".join([row, *texts]) + " |")
    return "\n".join(lines) + "\n"


def picture(table: pd.DataFrame) -> bytes:
    """The figure as PNG."""
    return style.png(_draw(table))


@style.styled
def _draw(table: pd.DataFrame) -> Figure:
    cells = table.assign(column=columns(table)).set_index(["trained_on", "column"])
    matrix = 100 * wide(table)
    figure = Figure(figsize=(max(8.2, 3.6 + 1.45 * matrix.shape[1]), 2.0 + 0.8 * matrix.shape[0]), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(matrix.to_numpy(), cmap=COLOURS, vmin=0, vmax=WORST, aspect="auto")
    for y, row in enumerate(matrix.index):
        for x, column in enumerate(matrix.columns):
            cell = cells.loc[(row, column)]
            dark = np.nan_to_num(matrix.iat[y, x]) > 0.8 * WORST
            ink = "white" if dark else style.INK
            first, *rest = _lines(cell)
            axes.text(x, y - (0.1 if rest else 0), first, ha="center", va="center", fontsize=12, color=ink)
            for text in rest:
                axes.text(x, y + 0.22, text, ha="center", va="center", fontsize=8.5, color=ink)
            if cell["own"]:
                axes.add_patch(Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, fill=False, edgecolor=style.INK, lw=1.8))
    axes.set_xticks(range(len(matrix.columns)), [_broken(name) for name in matrix.columns])
    axes.set_yticks(range(len(matrix.index)), [_broken(name) for name in matrix.index])
    axes.tick_params(length=0, labelsize=10, labeltop=True, labelbottom=False)
    axes.set_xticks(np.arange(0.5, len(matrix.columns) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(matrix.index) - 1), minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("trained on")
    axes.set_title("tested on", loc="center", fontweight="normal", fontsize=11)
    title = "EER on eval in %, with its 95 % interval; framed: trained on this corpus; pooled: one threshold for all"
    figure.suptitle(title, x=0.01, ha="left")
    figure.colorbar(shown, ax=axes, label="EER (%)", fraction=0.03, pad=0.02)
    return figure


def _lines(cell: pd.Series) -> list[str]:
    """Text of a cell: the EER and its interval, or the reason why there is none."""
    if pd.isna(cell["eer"]):
        return ["–", str(cell["note"]).split(":")[0]]
    text = f"{100 * cell['eer']:.1f}"
    return [text] if pd.isna(cell["eer_low"]) else [text, f"({100 * cell['eer_low']:.1f}–{100 * cell['eer_high']:.1f})"]


def _broken(name: str) -> str:
    """Name with a line per corpus and one for the phase."""
    return name.replace(" ", "\n").replace("+", " +\n")
