"""Architecture of a model as text and as a picture: layers in order, shapes and parameters."""

import keras
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

LINE_LENGTH = 110


def text(model: keras.Model) -> str:
    """Summarise the model and its nested backbone with Keras."""
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line), expand_nested=True, line_length=LINE_LENGTH)
    return "\n".join(lines) + "\n"


def picture(model: keras.Model) -> Figure:
    """Draw one box per layer from waveform to logit, with its name, output shape and parameter count."""
    layers = model.layers
    figure = Figure(figsize=(6.4, 0.62 * len(layers) + 0.6), layout="constrained")
    axes = figure.add_subplot()
    for index, layer in enumerate(layers):
        y = -index
        learned = layer.count_params() > 0
        axes.add_patch(
            FancyBboxPatch(
                (0.03, y - 0.32),
                0.94,
                0.64,
                boxstyle="round,pad=0,rounding_size=0.04",
                mutation_aspect=4,
                facecolor="#dce9f5" if learned else "#f4f4f4",
                edgecolor="#35608d",
            )
        )
        shape = " × ".join("batch" if size is None else str(size) for size in layer.output.shape)
        axes.text(0.06, y, layer.name, va="center", fontsize=10, weight="bold")
        axes.text(0.53, y, shape, va="center", ha="center", fontsize=9)
        count = f"{layer.count_params():,} parameters" if learned else "fixed"
        axes.text(0.94, y, count, va="center", ha="right", fontsize=9, color="#333333" if learned else "#777777")
        if index and _takes(layer, layers[index - 1]):
            axes.annotate("", (0.5, y + 0.33), (0.5, y + 0.67), arrowprops={"arrowstyle": "->", "color": "#35608d"})
    axes.set(
        xlim=(0, 1),
        ylim=(-len(layers) + 0.5, 0.6),
        title=f"{model.name}: {model.count_params():,} parameters",
    )
    axes.axis("off")
    return figure


def _takes(layer: keras.Layer, previous: keras.Layer) -> bool:
    """Whether a layer can take the output of the one before, unlike a member of a fusion, which takes the waveform."""
    return previous.output.shape in [tensor.shape for tensor in keras.tree.flatten(layer.input)]
