"""The models of one evaluation: opened, named, and what kind of output they have."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint import Checkpoint
from ..checkpoint.onnx_folder import OnnxFolder, find_onnx
from ..checkpoint.tokenizer import open_tokenizer
from ..data.batches import Batch, logits
from ..data.cross_encoder import read_activation
from ..data.embedding import MEAN, Embedding
from ..data.embedding_folder import embedding_of
from ..errors import CheckpointError, DataError, Message, Note
from ..model.matching import refuse_adapters

Model = Any
"""A PruningRun, a transformers model, a Checkpoint, or the name or folder of one or of an ONNX model."""
Head = Literal["classification", "regression", "language", "embedding"]

_OTHER_HEADS = {
    "ForTokenClassification": Message("a label for each token", code="evaluation.token_labels"),
    "ForQuestionAnswering": Message("a span of the text", code="evaluation.spans"),
    "ForMultipleChoice": Message("a choice among several texts", code="evaluation.choices"),
    "LMHead": Message("the next word", code="evaluation.next_word"),
    "ForCausalLM": Message("the next word", code="evaluation.next_word"),
}
_WRAPPED = ("module", "_orig_mod", "base_model")
"""Where wrappers (DataParallel, torch.compile, peft) hold the model."""
_ANOTHER_OUTPUT = Message("another kind of output", code="evaluation.another_output")


@dataclass(frozen=True)
class Side:
    """One of the compared models: its name in the report, and how it embeds a text."""

    name: str
    model: PreTrainedModel
    embedding: Embedding | None
    """None for a model that is passed as an object, which has no folder to ask."""
    activation: nn.Module | None = None
    """What turns the one number of a regression model into its score; None as above."""


@dataclass(frozen=True)
class ComparedModels:
    """The model to evaluate, its baseline if any, and the tokenizers."""

    after: Side
    before: Side | None
    tokenizer: PreTrainedTokenizerBase
    """What the evaluated model reads with."""
    before_tokenizer: PreTrainedTokenizerBase | None = None
    """What the baseline reads with; None where it is the same."""

    def tokenizer_of(self, side: str) -> PreTrainedTokenizerBase:
        """Return the tokenizer of a side, before or after."""
        return self.before_tokenizer if side == "before" and self.before_tokenizer is not None else self.tokenizer

    def sides(self) -> dict[str, Side]:
        """Return each side, before and after, in the order in which they run."""
        return {"after": self.after} if self.before is None else {"before": self.before, "after": self.after}

    def head(self) -> Head:
        """Return the kind of both models' head.

        Raises DataError where the heads or their classes differ, or where there is no measure for them.
        """
        after = self.after.model
        head = self._head_of(self.after)
        if self.before is None:
            return head
        before = self.before.model
        same_classes = head != "classification" or before.config.id2label == after.config.id2label
        if self._head_of(self.before) != head or not same_classes:
            raise DataError(
                "baseline is a {before}, model a {after}: expected the same head and the same classes",
                code="evaluation.different_heads",
                before=type(before).__name__,
                after=type(after).__name__,
            )
        return head

    def _head_of(self, side: Side) -> Head:
        """Return the head by a model's class, unless its folder says that it embeds texts."""
        return "embedding" if self.embedding_of(side).source is not None else head_of(side.model)

    def embedding_of(self, side: Side) -> Embedding:
        """Return how a side embeds texts; a model without a folder embeds them as the other side does."""
        known = (one.embedding for one in (side, self.after, self.before) if one is not None)
        return next((one for one in known if one is not None), MEAN)

    @property
    def embedding(self) -> Embedding:
        """Return how the evaluated model embeds texts: its prompt and limit hold for both."""
        return self.embedding_of(self.after)

    def score(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Run a model with one output on a batch, and return its scores as the folder of the models defines them."""
        scores: Tensor = self._activation()(logits(model, batch))
        return scores

    def without_embeddings(self) -> str | None:
        """Return the name of a side that returns nothing for single tokens; None where both can be embedded."""
        return next((side.name for side in self.sides().values() if not getattr(side.model, "embeds", True)), None)

    def _activation(self) -> nn.Module:
        known = [side.activation for side in self.sides().values() if side.activation is not None]
        return known[-1] if known else nn.Identity()

    def notes(self, head: Head) -> list[Note]:
        """Say how the models embed texts, once where both do it alike, or what their scores go through."""
        kind = type(self._activation()).__name__
        if head == "regression" and kind != "Identity":
            return [Note("the folder's {kind} is applied to the model's outputs", code="note.activation", kind=kind)]
        if head != "embedding":
            return []
        notes = {str(note): note for side in self.sides().values() for note in self.embedding_of(side).notes()}
        return list(notes.values())


def head_of(model: PreTrainedModel) -> Head:
    """Return the kind of a model's head by its class. Raises DataError where there is no measure for it."""
    name = type(model).__name__
    if name.endswith("ForMaskedLM"):
        return "language"
    if name.endswith("ForSequenceClassification"):
        return _kind_of_classifier(model)
    if re.search("For[A-Z]|LMHead|DoubleHeads", name) and not name.endswith("ForPreTraining"):
        output = next((words for part, words in _OTHER_HEADS.items() if part in name), _ANOTHER_OUTPUT)
        raise DataError(
            "{model} answers with {output}; evaluation measures one class or number per text, masked words and "
            "embeddings: score this model with a metric of its own task",
            code="evaluation.other_head",
            model=name,
            output=output,
        )
    return "embedding"


def _kind_of_classifier(model: PreTrainedModel) -> Head:
    if model.config.problem_type == "multi_label_classification":
        raise DataError(
            "{model} assigns several labels to a text; evaluation supports one class or one number per text: "
            "score this model with a metric of its own task",
            code="evaluation.multi_label",
            model=type(model).__name__,
        )
    return "regression" if model.config.num_labels == 1 else "classification"


def open_models(model: Model, baseline: Model | None, tokenizer: Any) -> ComparedModels:
    """Open the models and the tokenizer; a run's baseline is its checkpoint. Raises DataError or CheckpointError."""
    run = is_run(model)
    seed = model.seed if run else 0
    baseline = model.checkpoint if run and baseline is None else baseline
    after, checkpoint = _open("model", model, seed)
    before, other = (None, None) if baseline is None else _open("baseline", baseline, seed)
    reader = _tokenizer(tokenizer, model, checkpoint or other)
    if tokenizer is not None or before is None:
        return ComparedModels(after, before, reader)
    return ComparedModels(after, before, reader, _another(baseline, other or checkpoint, reader))


def is_run(model: Any) -> bool:
    """Recognise a run without importing `runs`, and without reading `model`, which would build it."""
    return not isinstance(model, nn.Module) and all(hasattr(model, name) for name in ("checkpoint", "recipe", "seed"))


def _open(role: str, source: Model, seed: int) -> tuple[Side, Checkpoint | OnnxFolder | None]:
    """Return a model with its name in the report, and the checkpoint that it was built from if known."""
    if (onnx := find_onnx(source)) is not None:
        return _side(onnx.title, onnx.model(), onnx), onnx
    if isinstance(source, str | Path | Checkpoint):
        checkpoint = Checkpoint.open(source)
        model = checked_model(role, checkpoint.model(seed))
        return _side(checkpoint.name, model, checkpoint), checkpoint
    if is_run(source):
        checkpoint, model = source.checkpoint, checked_model(role, source.model)
        return _side(f"{checkpoint.name}, pruned", model, checkpoint), checkpoint
    return Side(type(source).__name__, checked_model(role, source), None), None


def _side(name: str, model: Any, checkpoint: Checkpoint | OnnxFolder) -> Side:
    """Ask a checkpoint's folder how it embeds texts, or scores them; a classifier needs neither."""
    if not type(model).__name__.endswith("ForSequenceClassification"):
        return Side(name, model, embedding_of(model, checkpoint.folder(), checkpoint.name))
    if model.config.num_labels != 1:
        return Side(name, model, MEAN)
    return Side(name, model, MEAN, read_activation(checkpoint.folder(), model, checkpoint.name))


def checked_model(role: str, model: Any) -> PreTrainedModel:
    """Return what was passed as a model, if it is one that has values. Raises DataError."""
    if not isinstance(model, PreTrainedModel):
        raise _no_model(role, model)
    if any(parameter.is_meta for parameter in model.parameters()):
        raise DataError("{role} is on the meta device: load its weights first", code="evaluation.on_meta", role=role)
    return model


def _no_model(role: str, given: Any) -> DataError:
    if isinstance(given, nn.Module):
        refuse_adapters(given, DataError)
    kind = type(given).__name__
    inner = next((name for name in _WRAPPED if isinstance(getattr(given, name, None), PreTrainedModel)), None)
    if inner is not None:
        sentence = "{role} is wrapped in {type}: unwrap it, pass its .{inner}"
        return DataError(sentence, code="evaluation.wrapped", role=role, type=kind, inner=inner)
    sentence = "{role} is of type {type}: expected a transformers model, a run or a checkpoint"
    return DataError(sentence, code="evaluation.model_type", role=role, type=kind)


def _another(source: Any, checkpoint: Checkpoint | OnnxFolder | None, reader: Any) -> PreTrainedTokenizerBase | None:
    """Return the tokenizer that a baseline has of its own; None where its tokens are the same, or it has none."""
    try:
        own = _tokenizer(None, source, checkpoint)
    except DataError:
        return None
    return None if own.get_vocab() == reader.get_vocab() else own


def _tokenizer(tokenizer: Any, source: Any, checkpoint: Checkpoint | OnnxFolder | None) -> PreTrainedTokenizerBase:
    given = given_tokenizer(tokenizer)
    if given is not None:
        return given
    if checkpoint is None:
        raise DataError(
            "a model that is passed as an object has no tokenizer: pass tokenizer=", code="evaluation.no_tokenizer"
        )
    try:
        return source.tokenizer if is_run(source) else checkpoint.tokenizer()
    except CheckpointError as error:
        raise DataError(error.sentence, code=error.code, **error.values) from None


def given_tokenizer(tokenizer: Any) -> PreTrainedTokenizerBase | None:
    """Return the tokenizer that was passed, opened if it was named; None where none was. Raises DataError."""
    if tokenizer is None or isinstance(tokenizer, PreTrainedTokenizerBase):
        return tokenizer
    if not isinstance(tokenizer, str | Path):
        raise DataError(
            "tokenizer is of type {type}: expected a tokenizer, a folder or a name",
            code="evaluation.tokenizer_type",
            type=type(tokenizer).__name__,
        )
    try:
        return open_tokenizer(tokenizer)
    except CheckpointError as error:
        raise DataError(error.sentence, code=error.code, **error.values) from None
