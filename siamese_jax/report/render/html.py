"""A document as one HTML page that needs nothing but itself: no network, no script, figures inside."""

import base64
import html
import re
from collections.abc import Iterator, Sequence

from siamese_jax.report.render import document as parts
from siamese_jax.report.render.document import Block, Document, Picture, Section, Table
from siamese_jax.report.render.style import CSS
from siamese_jax.runtime.terminal import printable

# Even if a name slipped through unescaped, the page may load and run nothing.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

SHORT = 28  # characters of a table cell that is not broken into lines


def render(document: Document) -> str:
    """The whole page."""
    title = escape(document.title)
    contents = "".join(f'<li><a href="#{_anchor(s.title)}">{escape(s.title)}</a></li>' for s in document.sections)
    sections = "\n".join(_section(section) for section in document.sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        # Browsers ask a server for an icon that no tag names; this one is empty.
        '<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        f"<header><h1>{title}</h1><p>{escape(document.subtitle)}</p></header>\n"
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n<main>\n{sections}\n</main>\n</body>\n</html>\n'
    )


def escape(text: str) -> str:
    """Text for element content and quoted attributes."""
    # Control characters have no place in a page, not even escaped.
    return html.escape(printable(text), quote=True)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _section(section: Section) -> str:
    anchor, inside = _anchor(section.title), "\n".join(render_blocks(section.blocks))
    heading = f'<h2 id="{anchor}-h">{escape(section.title)}</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-h">\n{heading}\n{inside}\n</section>'


def render_blocks(blocks: Sequence[Block]) -> Iterator[str]:
    """Yields the HTML of each block."""
    for block in blocks:
        match block:
            case parts.Alert(text):
                yield f'<p class="alert" role="note">{escape(text)}</p>'
            case parts.Heading(text):
                yield f"<h3>{escape(text)}</h3>"
            case parts.Code(text):
                yield f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
            case parts.Paragraph(text):
                yield f"<p>{escape(text)}</p>"
            case Table():
                yield _table(block)
            case parts.Gallery(pictures):
                yield f'<div class="gallery">{"".join(map(_picture, pictures))}</div>'
            case parts.Fold(title, inner):
                yield f"<details><summary>{escape(title)}</summary>\n{chr(10).join(render_blocks(inner))}\n</details>"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(map(_cell, row[1:])) + "</tr>" for row in table.rows
    )
    facts = ' class="facts"' if len(table.header) == 2 else ""  # names and values, which may be long
    return (  # a wide table scrolls in its own box, not with the page
        f'<figure class="table"><figcaption>{escape(table.caption)}</figcaption>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.caption)}">\n'
        f"<table{facts}><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div></figure>"
    )


def _cell(text: str) -> str:
    # An estimate and its limits stay on one line; long words may break.
    return f'<td class="n">{escape(text)}</td>' if len(text) <= SHORT else f"<td>{escape(text)}</td>"


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(picture.alt)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )
