"""Pages from templates; importable without pandas, since a finished call is found by its digest."""

import hashlib
import re
from pathlib import Path

from bft.domain.runs import Json
from bft.reports.shown import MINUS, UNKNOWN

TEMPLATES = Path(__file__).parent / "templates"
_MARKDOWN = re.compile(r"([\\`*_\[\]|#~])")


def render(name: str, page: Json) -> bytes:
    """A page from its template; HTML escapes every text, an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    env.filters["md"] = _md
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704  our own file
    text = env.get_template(name).render(page, style=style, minus=MINUS, unknown=UNKNOWN)
    return text.encode()


def _md(text: object) -> str:
    """Outside text as plain Markdown: no markup, no table cells, no HTML."""
    plain = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", " ".join(plain.split()))


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def templates_digest() -> str:
    """Digest of the templates: they are part of what makes a report."""
    return sha256(b"".join(file.read_bytes() for file in sorted(TEMPLATES.iterdir())))
