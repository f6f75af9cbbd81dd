"""What directions do and what labels say, in plain words."""

from __future__ import annotations

import torch

from ganlet.config import RunConfig
from ganlet.latent.effects import Share
from ganlet.workflows.lab.known_directions import Known

NUM_FACTS, LEAST_FACT = 2, 0.1  # facts that are named, and standard deviations per step that are worth it
MOST_NAMED, LEAST_LABEL = 3, 0.05  # labels of a mixture that are named, and shares that are worth it


def does(known: Known) -> str:
    """In one line: the verdicts that it turns and keeps where there are any, else what it moves."""
    turned = known.turned
    if turned is not None:
        kept = min(turned.kept.items(), key=lambda item: item[1].value, default=None)
        words = f"brings it in {turned.turned.value:.0%} at level {turned.level:g}"
        return words + (f"; least kept: {spoken(kept[0])} {kept[1].value:.0%}" if kept else "")
    return facts(known) or f"no plain fact; {known.moved.features:.0%} of the way to another picture"


def facts(known: Known, num: int = NUM_FACTS) -> str:
    """The facts that it moves most, in standard deviations of random pictures; nothing where it moves none."""
    largest = sorted(known.moved.facts.items(), key=lambda item: -abs(item[1]))[:num]
    return ", ".join(f"{more(name, by)} {abs(by):.1f}" for name, by in largest if abs(by) >= LEAST_FACT)


def more(name: str, by: float) -> str:
    return f"{'more' if by > 0 else 'less'} {name}"


def spoken(name: str) -> str:
    """The name of an attribute as one says it."""
    return name.replace("_", " ")


def between(share: Share) -> str:
    """Where a share lies with 95 % confidence."""
    low, high = share.interval
    return f"{low:.0%} to {high:.0%}"


def labels_in_words(labels: torch.Tensor, config: RunConfig) -> str:
    """The names of a label vector (num_labels,): of a mixture the largest ones, with their shares."""
    names = config.data.label_names
    assert names != "auto"
    shares = [(name, share) for name, share in zip(names, labels.tolist(), strict=True) if share >= LEAST_LABEL]
    if all(share > 1 - LEAST_LABEL for _, share in shares):
        return " + ".join(name for name, _ in shares) or "no label"
    largest = sorted(shares, key=lambda one: -one[1])[:MOST_NAMED]
    return ", ".join(f"{name} ({share:.0%})" for name, share in largest)
