"""Look of all figures: palette, style, and what figures share.

Classes and subsets differ in colour, in lightness and in line style or hatching, so that every figure can be read in
grey and by the colour-blind.
"""

import functools
import io
from collections.abc import Callable

import matplotlib as mpl
from matplotlib.figure import Figure

BLUE, ORANGE, GREY, INK = "#0072B2", "#E69F00", "#767676", "#222222"
"""Blue and orange of Okabe & Ito's palette, which differ in lightness too."""
BONAFIDE_LOOK = {"facecolor": BLUE, "edgecolor": "#004a75", "alpha": 0.75}
SPOOF_LOOK = {"facecolor": ORANGE, "edgecolor": "#7a5400", "alpha": 0.65, "hatch": "///"}
LINES = (
    {"color": BLUE, "linestyle": "-"},
    {"color": "#C25400", "linestyle": "--"},
    {"color": "#007A5A", "linestyle": "-."},
    {"color": INK, "linestyle": ":"},
)
STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "lines.linewidth": 2.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
}
FIGURE_SIZE = (5.6, 5.0)
"""Width and height in inches of figures shown side by side."""
DPI = 150


def png(figure: Figure, *, dpi: int = DPI) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the common style, whatever the caller's matplotlib settings are."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE)
            return draw(*args, **kwargs)

    return drawn


def title_over_legend(figure: Figure, title: str) -> None:
    """Put the title on top, the legend below it in one row, then the axes, so that nothing covers the data."""
    legend = figure.legend(
        title=title,
        title_fontproperties={"weight": "bold", "size": 12},
        alignment="left",
        loc="outside upper left",
        ncols=4,
        fontsize=10,
        columnspacing=1.4,
        handlelength=1.8,
    )
    legend.get_title().set_color("black")


def signed(value: float) -> str:
    """Number with two decimals and a minus sign as wide as a plus."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
