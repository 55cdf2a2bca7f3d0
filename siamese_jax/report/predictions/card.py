"""A model's card as HTML: Markdown of a stranger's folder, of which nothing is loaded or run."""

import re

from markdown_it import MarkdownIt

from siamese_jax.runtime.terminal import printable

_FRONT_MATTER = re.compile(r"\A---\s*\n.*?\n---\s*\n", re.DOTALL)
_MOST = 200_000  # characters; a card of more is cut


def html(card: str) -> str:
    """Returns the card's text as HTML; tags in it are shown as text, images by their description."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "html_block", "html_inline"])
    tokens = markdown.parse(_FRONT_MATTER.sub("", printable(card))[:_MOST])
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):  # below the page's own headings
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("rel", "noopener noreferrer")
    rendered: str = markdown.renderer.render(tokens, markdown.options, {})
    return rendered.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
