"""Rendering of the Jinja templates in ``templates/``.

An HTML page is one file without script: style, figures and sounds are inlined, so it needs no network. Every value is
escaped in ``.html.j2`` templates.
"""

import base64
import functools
from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **values: object) -> str:
    """A template with its values; a name that is missing raises ``jinja2.UndefinedError``."""
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    environment.filters["count"] = "{:,}".format
    environment.filters["markdown"] = _markdown
    return environment


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)
