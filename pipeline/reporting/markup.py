"""The web pages that this project writes: their one look, and their pieces with everything from outside escaped.

A page is one file that needs no network: figures are inlined, and there is no script in it.
"""

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("markup.css")


def page(title: str, head: str, sections: Mapping[str, str]) -> str:
    """A whole page: ``head``, then each section that has content under its title; both are HTML, titles are text."""
    body = head + "".join(f"\n<h2>{escape(name)}</h2>\n{part}" for name, part in sections.items() if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def gallery(figures: Mapping[str, bytes], *, wide: Collection[str] = (), bars: Collection[str] = ()) -> str:
    """Figures side by side; nothing for none. ``wide`` ones, by the last part of their names, take the whole width."""
    if not figures:
        return ""
    tags = []
    for name, picture in figures.items():
        last = name.split("/")[-1]
        kind = "wide" if last in wide else "bars" if last in bars else "plain"
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
    """A table, which scrolls where it is wider than the page.

    Columns outside ``left`` are numbers, cells ``(text, True)`` bold. With ``about`` the last column explains the row;
    ``kind`` is the table's class.
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
    return f'<div class="scroll">{opened}<thead>{top}</thead><tbody>{body}</tbody></table></div>'


def pairs(values: Mapping[str, object]) -> str:
    """Names and values in two columns."""
    rows = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in values.items())
    return f'<div class="columns"><table><tbody>{rows}</tbody></table></div>'
