"""Tokenise texts, batch them by length and run a model on them without changing it."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint.tokenizer import ends_the_process
from ..errors import DataError, shown
from ..model.family_tables import IRREGULAR

Batch = dict[str, Tensor]
ModelOutput = Callable[[PreTrainedModel, Batch], Tensor]
"""Runs a model on a batch and returns one row of numbers per example, on any device."""

MAX_NUMBERS = 64_000_000
"""Numbers that the output for one batch may hold: 256 MB of float32."""

_NO_LIMIT = 10**9
_CHUNK = 64
"""Texts per call of a tokenizer, which may be slow; between two calls the work can be cancelled."""
_SPECIAL = 5
"""Ids below this are often special."""
_OFFSET_POSITIONS = {
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
    "camembert",
    "roberta-prelayernorm",
    "data2vec-text",
    "mpnet",
}
"""Model types whose positions start after the padding token's id, so that part of the position table is unused."""
_PADDING_OF = {"mpnet": 1}
"""What that id is for a model type, whatever its config says."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts by feature name, in the order of the texts; not padded."""

    features: dict[str, list[list[int]]]
    padding: dict[str, int]
    """The value that each feature is padded with."""
    cut: int
    """How many texts were longer than `max_length` tokens."""
    before: "Encoded | None" = None
    """The same texts as the tokenizer of the model before reads them; None where both have one."""

    def of(self, side: str) -> "Encoded":
        """Return the texts as the model of a side reads them, `before` or `after`."""
        return self.before if side == "before" and self.before is not None else self

    def __len__(self) -> int:
        return len(self.features["input_ids"])


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: list[str],
    pairs: list[str] | None,
    max_length: int,
    on_chunk: Callable[[], None] = lambda: None,
) -> Encoded:
    """Tokenise texts, or pairs of them, cut to `max_length` tokens.

    `on_chunk` is called after every few texts, and may raise to cancel. Raises DataError where the tokenizer fails.
    """
    names = ["input_ids", *({"token_type_ids"} & set(tokenizer.model_input_names))]
    options: dict[str, Any] = {
        "padding": False,
        "return_attention_mask": False,
        "return_token_type_ids": len(names) > 1,
        "truncation": True,
        "max_length": max_length,
        "verbose": False,
    }
    features: dict[str, list[list[int]]] = {name: [] for name in names}
    for start in range(0, len(texts), _CHUNK):
        part = slice(start, start + _CHUNK)
        tokenised = _tokenise(tokenizer, texts[part], pairs[part] if pairs else None, options)
        for name in names:
            features[name] += tokenised[name]
        on_chunk()
    padding = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id or 0}
    full = [row for row, ids in enumerate(features["input_ids"]) if len(ids) == max_length]
    cut = sum(_is_longer(tokenizer, texts[row], pairs[row] if pairs else None, max_length) for row in full)
    return Encoded(features, padding, cut)


def _tokenise(tokenizer: PreTrainedTokenizerBase, texts: list[str], pairs: list[str] | None, options: Any) -> Any:
    try:
        return tokenizer(texts, pairs, **options)
    except BaseException as error:
        if ends_the_process(error):
            raise
        raise DataError(
            "the tokenizer fails on these texts ({reason}): pass another one",
            code="data.tokenizer_failed",
            reason=type(error).__name__,
        ) from None


def _is_longer(tokenizer: PreTrainedTokenizerBase, text: str, pair: str | None, max_length: int) -> bool:
    options = {"truncation": False, "verbose": False}
    tokenised = _tokenise(tokenizer, [text], [pair] if pair is not None else None, options)
    return len(tokenised["input_ids"][0]) > max_length


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str, max_length: int) -> int:
    """Return how many tokens a prompt takes, the special ones before it included."""
    if not prompt:
        return 0
    ids = encode(tokenizer, [prompt], None, max_length).features["input_ids"][0]
    return len(ids) - (bool(ids) and ids[-1] in tokenizer.all_special_ids)


def token_limit(
    tokenizer: PreTrainedTokenizerBase, models: list[PreTrainedModel], asked: int | None, own: int | None = None
) -> int:
    """Return the number of tokens that all models accept, or `asked` if it is smaller. Raises DataError.

    `own` is the limit of the models' folder; without one the tokenizer's holds.
    """
    most = min([_NO_LIMIT, own or tokenizer.model_max_length, *map(position_limit, models)])
    if asked is None:
        return 512 if most == _NO_LIMIT else int(most)
    if isinstance(asked, bool) or not isinstance(asked, int) or not 3 <= asked <= most:
        raise DataError(
            "max_length={value}: expected an integer from 3 to {most:,}",
            code="data.max_length",
            value=shown(asked),
            most=most,
        )
    return asked


def position_limit(model: PreTrainedModel) -> int:
    """Return how many tokens a model has positions for; a very large number where they are not limited."""
    config = model.config
    most = int(getattr(config, "max_position_embeddings", None) or _NO_LIMIT)
    kind = str(config.model_type).removeprefix(IRREGULAR)
    if kind in _OFFSET_POSITIONS:
        most -= _PADDING_OF.get(kind, config.pad_token_id or 0) + 1
    return most


def check_vocabulary(encoded: Encoded, model: PreTrainedModel, name: str) -> None:
    """Refuse token ids without an embedding in the model, which errors call `name`. Raises DataError."""
    known = int(getattr(model.get_input_embeddings(), "num_embeddings", _NO_LIMIT))
    largest = max(max(ids, default=0) for ids in encoded.features["input_ids"])
    if largest >= known:
        raise DataError(
            "the tokenizer produces token id {largest:,}, but {name} has only {known:,} token embeddings: "
            "pass the tokenizer that it was trained with",
            code="data.unknown_token",
            largest=largest,
            name=name,
            known=known,
        )


def run_in_batches(
    model: PreTrainedModel,
    encoded: Encoded,
    output: ModelOutput,
    batch_size: int,
    width: int = 1,
    on_batch: Callable[[int], None] = lambda tokens: None,
) -> NDArray[np.float64]:
    """Run a model on all examples and return a row of its `output` for each, `(examples, columns)`, in their order.

    Examples of similar length share a batch, at most `batch_size` of them, and fewer where an output of `width`
    numbers per token would be too large. `on_batch` is called with the tokens of each batch, and may raise to cancel.
    The model's training flags, pruned weights and the random state do not change.
    """
    lengths = np.array([len(ids) for ids in encoded.features["input_ids"]])
    order = np.argsort(lengths, kind="stable")
    rows: list[NDArray[np.float64]] = []
    with evaluation_mode(model):
        for chosen in _split(order, lengths, batch_size, width):
            batch = {name: value.to(model.device) for name, value in padded(encoded, chosen).items()}
            rows.append(output(model, batch).double().cpu().numpy())
            on_batch(int(lengths[chosen].sum()))
    in_length_order = np.concatenate(rows)
    result = np.empty_like(in_length_order)
    result[order] = in_length_order
    return result


def _split(
    order: NDArray[np.int64], lengths: NDArray[np.int64], batch_size: int, width: int
) -> Iterator[NDArray[np.int64]]:
    start = 0
    while start < len(order):
        # Lengths only grow along the order, so the last example of a full batch is its longest.
        longest = int(lengths[order[min(start + batch_size, len(order)) - 1]])
        size = max(1, min(batch_size, MAX_NUMBERS // (longest * width)))
        yield order[start : start + size]
        start += size


def padded(encoded: Encoded, chosen: NDArray[np.int64]) -> Batch:
    """Make one batch of some examples, padded to the longest of them."""
    # Twice as fast as the tokenizer's own pad, which handles neither targets nor tokenizers without a padding token.
    ids = encoded.features["input_ids"]
    lengths = torch.tensor([len(ids[row]) for row in chosen])
    longest = int(lengths.max())
    batch = {
        name: torch.tensor([lists[row] + [encoded.padding[name]] * (longest - len(lists[row])) for row in chosen])
        for name, lists in encoded.features.items()
    }
    return batch | {"attention_mask": (torch.arange(longest) < lengths[:, None]).long()}


def made_up(model: PreTrainedModel, texts: int, tokens: int) -> Batch:
    """Make a batch of token ids up, the same ones each time, all of ordinary tokens as far as can be known."""
    known = int(model.config.vocab_size)
    first = _SPECIAL if known > 2 * _SPECIAL else 0
    ids = torch.from_numpy(np.random.default_rng(0).integers(first, known, (texts, tokens)))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    return {name: value.to(model.device) for name, value in accepted(model, batch).items()}


def forward(model: PreTrainedModel, batch: Batch) -> Any:
    """Call the model with the parts of the batch that it accepts."""
    return model(**accepted(model, batch))


def accepted(model: PreTrainedModel, batch: Batch) -> Batch:
    """Return the parts of a batch that a model accepts."""
    known = set(getattr(model, "input_names", None) or inspect.signature(model.forward).parameters)
    if getattr(model.config, "type_vocab_size", 2) < 2:
        # RoBERTa has one segment only; a tokenizer that numbers two would index outside its table.
        known -= {"token_type_ids"}
    return {name: value for name, value in batch.items() if name in known}


def logits(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return the raw outputs of a model with a head for whole texts, `(batch, classes)`."""
    output: Tensor = forward(model, batch).logits
    return output


@contextmanager
def evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    """Switch to evaluation mode and back; `weight` is restored too, since pruning hooks replace it in each pass."""
    training = [module for module in model.modules() if module.training]
    derived = [
        (vars(module), name, value)
        for module in model.modules()
        for name, value in list(vars(module).items())
        if isinstance(value, Tensor)
    ]
    for module in training:
        module.training = False
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True
        for attributes, name, value in derived:
            attributes[name] = value
