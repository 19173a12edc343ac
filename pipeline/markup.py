"""Pieces of a web page as HTML: tables, figures and small print, with everything from outside escaped."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape


def gallery(figures: Mapping[str, bytes]) -> str:
    """Figures side by side, wide ones over the whole width; nothing for none."""
    if not figures:
        return ""
    tags = []
    for name, picture in figures.items():
        last = name.split("/")[-1]
        kind = "wide" if last in ("training_curves", "robustness", "against") else "plain"
        kind = "bars" if last == "attacks" else kind
        tags.append(f'<figure class="{kind}">{image(escape(name), picture)}</figure>')
    return f'<div class="figures">{"".join(tags)}</div>'


def image(name: str, picture: bytes) -> str:
    """A PNG inlined; ``name`` is escaped already."""
    return f'<img alt="{name}" src="data:image/png;base64,{encoded(picture)}">'


def encoded(data: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode()


def note(words: str) -> str:
    """A paragraph of small print."""
    return f'<p class="note">{escape(words)}</p>'


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str | tuple[str, bool]]],
    *,
    left: Sequence[int] = (0,),
    about: bool = False,
    kind: str = "",
) -> str:
    """A table; columns outside ``left`` are numbers, cells ``(text, True)`` bold.

    With ``about`` the last column explains the row; ``kind`` is the table's class.
    """
    kinds = ["" if i in left else "number" for i in range(len(header))]
    if about:
        kinds[-1] = "about"

    def cell(tag: str, of_column: str, content: str | tuple[str, bool]) -> str:
        words, strong = content if isinstance(content, tuple) else (content, False)
        classes = " ".join(filter(None, [of_column, "strong" if strong else ""]))
        return f"<{tag}{f' class={chr(34)}{classes}{chr(34)}' if classes else ''}>{escape(words)}</{tag}>"

    def line(tag: str, cells: Sequence[str | tuple[str, bool]]) -> str:
        return f"<tr>{''.join(cell(tag, k, c) for k, c in zip(kinds, cells, strict=True))}</tr>"

    top, body = line("th", header), "".join(line("td", row) for row in rows)
    opened = f'<table class="{kind}">' if kind else "<table>"
    return f"{opened}<thead>{top}</thead><tbody>{body}</tbody></table>"


def pairs(values: Mapping[str, object]) -> str:
    """Names and values in two columns."""
    rows = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in values.items())
    return f'<div class="columns"><table><tbody>{rows}</tbody></table></div>'
