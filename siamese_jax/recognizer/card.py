"""The card of a model, README.md in the Hugging Face layout."""

from collections import Counter

from siamese_jax.recognizer.model import Model


def card(model: Model) -> str:
    """Returns the card's Markdown."""
    counts = Counter(model.classes[i] for i in model.enrolled.label)
    rows = "\n".join(f"| {name} | {counts[name]} |" for name in model.classes)
    names = ", ".join(source.name for source in model.sources) or "none"
    return f"# Emotion recogniser\n\nSources: {names}.\n\n| label | enrolled clips |\n| --- | --- |\n{rows}\n"
