"""Texts in the words of the tiny tokenizer, and steps that read them."""

import bertprune as bp

_SUBJECTS = ("the film", "the plot", "the acting", "the music", "it")
_WORDS = ("good", "bad", "very good", "very bad", "not good", "great", "awful", "fine", "boring")
TEXTS = [f"{subject} was {word}" for subject in _SUBJECTS for word in _WORDS]
NEURONS = bp.Step(method="obs", granularity="neuron", fraction=0.5, reconstruct=True)
HEADS = bp.Step(method="obs", granularity="head", count=1, reconstruct=True)
ENTRIES = bp.Step(
    method="obs", fraction=0.5, reconstruct=True, select=bp.Selection(roles=["attention.query", "ffn.output"])
)
