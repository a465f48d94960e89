"""Send texts through a model quickly, and leave the model as it was found."""

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
from ..errors import DataError
from ..parallel import Progress

Batch = dict[str, Tensor]
Reader = Callable[[PreTrainedModel, Batch], Tensor]
"""Turns a batch into one row of numbers an example, on any device."""

MAX_CELLS = 64_000_000
"""Numbers that one batch's output may hold: 256 MB of float32."""

_NO_LIMIT = 10**9
_AT_ONCE = 64
"""Texts that are tokenised between two looks at whether to go on: a tokenizer's patterns may be slow."""
_SHIFTED = {
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
    "camembert",
    "roberta-prelayernorm",
    "data2vec-text",
    "mpnet",
}
"""Their positions start behind the padding token's number, which takes some of the table."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts by feature name, in the order of the texts; unpadded."""

    features: dict[str, list[list[int]]]
    padding: dict[str, int]
    cut: int
    """How many texts were longer than the model can read."""

    def __len__(self) -> int:
        return len(self.features["input_ids"])


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: list[str],
    pairs: list[str] | None,
    max_length: int,
    told: Callable[[], None] = lambda: None,
) -> Encoded:
    """Tokenise every text once, cut at `max_length` tokens; `told` is called now and then, and may raise.

    Raises DataError where the tokenizer fails.
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
    for at in range(0, len(texts), _AT_ONCE):
        part = slice(at, at + _AT_ONCE)
        coded = _coded(tokenizer, texts[part], pairs[part] if pairs else None, options)
        for name in names:
            features[name] += coded[name]
        told()
    padding = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id or 0}
    full = [row for row, ids in enumerate(features["input_ids"]) if len(ids) == max_length]
    cut = sum(_longer(tokenizer, texts[row], pairs[row] if pairs else None, max_length) for row in full)
    return Encoded(features, padding, cut)


def _coded(tokenizer: PreTrainedTokenizerBase, texts: list[str], pairs: list[str] | None, options: Any) -> Any:
    try:
        return tokenizer(texts, pairs, **options)
    except BaseException as error:
        if ends_the_process(error):
            raise
        raise DataError(f"the tokenizer fails on these texts ({type(error).__name__}): pass another one") from None


def _longer(tokenizer: PreTrainedTokenizerBase, text: str, pair: str | None, max_length: int) -> bool:
    coded = _coded(tokenizer, [text], [pair] if pair is not None else None, {"truncation": False, "verbose": False})
    return len(coded["input_ids"][0]) > max_length


def max_tokens(tokenizer: PreTrainedTokenizerBase, models: list[PreTrainedModel], asked: int | None) -> int:
    """Find how many tokens all the models can read; `asked` may only lower it. Raises DataError."""
    most = min([_NO_LIMIT, tokenizer.model_max_length, *map(_positions, models)])
    if asked is None:
        return 512 if most == _NO_LIMIT else int(most)
    if isinstance(asked, bool) or not isinstance(asked, int) or not 3 <= asked <= most:
        raise DataError(f"max_length={asked!r}: must be a whole number of tokens from 3 to {most:,}")
    return asked


def _positions(model: PreTrainedModel) -> int:
    config = model.config
    most = int(getattr(config, "max_position_embeddings", None) or _NO_LIMIT)
    if config.model_type in _SHIFTED:
        most -= (config.pad_token_id or 0) + 1
    return most


def fits(encoded: Encoded, model: PreTrainedModel, role: str) -> None:
    """Refuse token ids that the model has no embedding for. Raises DataError."""
    embeddings = model.get_input_embeddings()
    known = int(getattr(embeddings, "num_embeddings", _NO_LIMIT))
    largest = max(max(ids, default=0) for ids in encoded.features["input_ids"])
    if largest >= known:
        raise DataError(
            f"the tokenizer gives token {largest:,}, but the {role} knows {known:,}: pass the tokenizer of its training"
        )


class Meter:
    """Tells how much of all the passes together is done; a token through a model is the unit."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, max(total, 1), 0

    def add(self, tokens: int, words: str) -> None:
        """Count tokens as done."""
        self._done += tokens
        self._progress(min(self._done / self._total, 1.0), words)


def collect(
    model: PreTrainedModel, encoded: Encoded, read: Reader, size: int, width: int, told: Callable[[int], None]
) -> NDArray[np.float64]:
    """Return the reader's rows for all examples, `(examples, columns)`, in the order of the examples.

    Batches hold examples of like length, at most `size` of them, fewer where `width` numbers a token would not fit.
    The model's training flags, derived tensors and the random state are left as they were.
    """
    lengths = np.array([len(ids) for ids in encoded.features["input_ids"]])
    rows: list[NDArray[np.float64]] = []
    order = np.argsort(lengths, kind="stable")
    with _undisturbed(model):
        for chosen in _batches(lengths, order, size, width):
            batch = {name: value.to(model.device) for name, value in _pad(encoded, chosen).items()}
            rows.append(read(model, batch).double().cpu().numpy())
            told(int(lengths[chosen].sum()))
    joined = np.concatenate(rows)
    result = np.empty_like(joined)
    result[order] = joined
    return result


def _batches(
    lengths: NDArray[np.int64], order: NDArray[np.int64], size: int, width: int
) -> Iterator[NDArray[np.int64]]:
    start = 0
    while start < len(order):
        # Lengths only grow along the order, so the last of a full batch is its longest.
        longest = lengths[order[min(start + size, len(order)) - 1]]
        room = max(1, min(size, MAX_CELLS // (int(longest) * width)))
        yield order[start : start + room]
        start += room


def _pad(encoded: Encoded, chosen: NDArray[np.int64]) -> Batch:
    ids = encoded.features["input_ids"]
    lengths = torch.tensor([len(ids[row]) for row in chosen])
    longest = int(lengths.max())
    batch = {
        name: torch.tensor([lists[row] + [encoded.padding[name]] * (longest - len(lists[row])) for row in chosen])
        for name, lists in encoded.features.items()
    }
    return batch | {"attention_mask": (torch.arange(longest) < lengths[:, None]).long()}


def call(model: PreTrainedModel, batch: Batch) -> Any:
    """Run the model on those parts of the batch that it takes."""
    accepted = set(inspect.signature(model.forward).parameters)
    if getattr(model.config, "type_vocab_size", 2) < 2:
        # RoBERTa knows one segment only; a tokenizer that counts two would point outside its table.
        accepted -= {"token_type_ids"}
    return model(**{name: value for name, value in batch.items() if name in accepted})


def read_logits(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return a classifier's raw outputs, `(batch, classes)`."""
    logits: Tensor = call(model, batch).logits
    return logits


def read_embeddings(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return the mean of the last hidden states over all tokens that are not padding, `(batch, hidden)`."""
    hidden = call(model.base_model, batch).last_hidden_state.float()
    mask = batch["attention_mask"][..., None].to(hidden.dtype)
    mean: Tensor = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
    return mean


@contextmanager
def _undisturbed(model: PreTrainedModel) -> Iterator[None]:
    """Switch to evaluation and back; hooks rebuild pruned weights in inference mode, so these are put back too."""
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
        for home, name, value in derived:
            home[name] = value
