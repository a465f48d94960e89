"""Checkpoint: one source of weights, opened by its headers, built into models when asked."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, MissingTensorsWarning, Note, first_names
from ..parallel import Progress, check_progress, silent
from .architecture import build_config, check_sizes, find_class
from .headers import Facts, TensorFact, main_dtype
from .pruned_weights import find_pruned
from .source import Source, find_source
from .tensor_checks import check_complete, check_layout
from .tokenizer import load_tokenizer, open_tokenizer
from .weights import Weights

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from .masked import Pruning


class Checkpoint:
    """Describe one checkpoint, and build models from it; the checkpoint itself is never written.

    Attributes:
        name: What the checkpoint is called: an embedded name, a folder's or file's name, or a Hub id. Never a path.
        hub_id: Its Hub id, or None.
        revision: The revision that was asked for, or None.
        subfolder: Where in its folder the transformer is, as in some of sentence-transformers; empty for the top.
        config: The configuration, as transformers' config object.
        facts: What the headers say: class, sizes, dtype, stored tensors, notes for the user.
        missing: Names of the tensors that the architecture expects and the files lack. They are initialised from the
            seed and never pruned.
        pruning: How the stored model, and so each built from it, was pruned; None for a plain one.

    Example:
        >>> import bertprune as bp
        >>> checkpoint = bp.Checkpoint.open("demo")
        >>> checkpoint
        Checkpoint('demo', BertForSequenceClassification, 3,378,242 parameters)
        >>> checkpoint.facts.dtype, checkpoint.facts.files
        ('float16', ('model.safetensors',))
    """

    name: str
    hub_id: str | None
    revision: str | None
    subfolder: str
    config: "PreTrainedConfig"
    facts: Facts
    missing: frozenset[str]
    pruning: "Pruning | None"

    def __init__(self, source: Source) -> None:
        """Work out from headers alone what the model will be; users call `Checkpoint.open`."""
        from .loading import lay_out
        from .masked import find_pruning
        from .models import Models

        self._source = source
        self.name, self.hub_id, self.revision = source.name, source.hub_id, source.revision
        self.subfolder = source.subfolder
        pruned = find_pruned(source.weights)
        weights = pruned or source.weights
        check_sizes(source.config, weights.tensors, self.name)
        self.config, config_notes = build_config(source.config, weights.tensors, self.name)
        cls, class_notes = find_class(source.config, self.config, self.name)
        layout = lay_out(cls, self.config, weights, self.name)
        if source.seed is None:
            check_layout(layout, weights.tensors, self.name)
        self._layout = layout
        self.missing = layout.missing if source.seed is None else frozenset()
        self.pruning = None
        if pruned is not None:
            self.pruning = find_pruning(layout, pruned, source.folder, self.name)
            if self.pruning.report:
                check_complete(self.missing, pruned, self.name)
        self._models = Models(cls, self.config, source, weights, layout, self.pruning, self.missing)
        notes = [*source.notes, *config_notes, *class_notes, *layout.notes(), *self._notes()]
        self.facts = self._facts(weights, tuple(notes))

    @classmethod
    def open(
        cls,
        source: "str | Path | Checkpoint",
        *,
        revision: str | None = None,
        local: bool = True,
        largest: int | None = None,
    ) -> "Checkpoint":
        """Open a checkpoint by its headers; no weight is read.

        Args:
            source: What to open, one of: an embedded name ("demo", "demo-mlm", "kobert-shape"); a folder, such as
                an export in either form; a .safetensors or torch file with its config.json next to it; a Hub id
                ("org/name", "org/name@revision"), which comes from the local cache, without asking the Hub, where it
                is cached in full. The state dict of a pruned model opens pruned. An open checkpoint is returned as
                it is.
            revision: A branch, tag or commit, for Hub ids only; the main branch by default.
            local: Whether paths are accepted; default True. With False none is looked up: for untrusted sources.
            largest: The most bytes of weight files; more are refused before they are downloaded. No limit by default.

        Returns:
            The checkpoint, with its facts. Its weights are downloaded and read when a model is first asked for.

        Raises:
            CheckpointError: The source cannot be found, read, trusted or built into a model.
            TooLargeError: The weight files are larger than `largest`.

        Warns:
            MissingTensorsWarning: The files lack tensors that the architecture expects.

        Example:
            >>> import bertprune as bp
            >>> bp.Checkpoint.open("kobert-shape").facts.parameters
            92186880
        """
        if isinstance(source, Checkpoint):
            if revision not in (None, source.revision):
                raise CheckpointError(
                    "{name} is open already; a revision is given together with the Hub id",
                    code="checkpoint.already_open", name=source.name,
                )  # fmt: skip
            return source
        opened = cls(find_source(source, revision, local=local, largest=largest))
        if opened.missing:
            warnings.warn(opened._missing_warning(), stacklevel=2)
        return opened

    def skeleton(self) -> "nn.Module":
        """Return the shared model on the meta device: shapes, no values; do not change it. Raises CheckpointError.

        Example:
            >>> import bertprune as bp
            >>> bp.Checkpoint.open("demo").skeleton().get_parameter("classifier.weight").shape
            torch.Size([2, 192])
        """
        return self._models.skeleton()

    def model(self, seed: int = 0, progress: Progress = silent) -> "nn.Module":
        """Return the shared model, built once, in float32 and eval mode. Do not change it; `load` gives your own.

        Args:
            seed: An integer, default 0, from which `missing` tensors are initialised; no effect where there are none.
            progress: A function called with the share done (0 to 1) and a few words; it may raise to cancel.

        Raises:
            CheckpointError: The weights cannot be downloaded or read.

        Example:
            >>> import bertprune as bp
            >>> checkpoint = bp.Checkpoint.open("demo")
            >>> checkpoint.model() is checkpoint.model()
            True
        """
        check_progress(progress)
        return self._models.shared(seed, progress)

    def load(self, seed: int = 0, progress: Progress = silent) -> "nn.Module":
        """Build a model of your own, which shares nothing, in float32 and eval mode.

        Args:
            seed: An integer, default 0, from which `missing` tensors are initialised; no effect where there are none.
            progress: A function called with the share done (0 to 1) and a few words; it may raise to cancel.

        Returns:
            The model, of the class that `facts.architecture` names.

        Raises:
            CheckpointError: The weights cannot be downloaded or read.

        Example:
            >>> import bertprune as bp
            >>> model = bp.Checkpoint.open("demo").load()
            >>> type(model).__name__, model.dtype, model.training
            ('BertForSequenceClassification', torch.float32, False)
        """
        check_progress(progress)
        return self._models.load(seed, progress)

    def release(self) -> None:
        """Drop the shared model from memory; the next call of `model` builds it again.

        Example:
            >>> import bertprune as bp
            >>> checkpoint = bp.Checkpoint.open("demo")
            >>> model = checkpoint.model()
            >>> checkpoint.release()
            >>> checkpoint.model() is model
            False
        """
        self._models.release()

    def check_unchanged(self) -> None:
        """Refuse files that have changed since they were opened; raises CheckpointError.

        Example:
            >>> import bertprune as bp
            >>> bp.Checkpoint.open("demo").check_unchanged()
        """
        self._source.check_unchanged()

    def source_dtype(self, name: str) -> str:
        """Return the dtype in which the files hold a parameter of the model; the main one if they do not.

        Args:
            name: The parameter's name in the model.

        Example:
            >>> import bertprune as bp
            >>> bp.Checkpoint.open("demo").source_dtype("classifier.weight")
            'float16'
        """
        home = self._layout.homes.get(name)
        return home.fact.dtype if home else self.facts.dtype

    def tokenizer(self, other: str | Path | None = None, *, local: bool = True) -> "PreTrainedTokenizerBase":
        """Load the checkpoint's tokenizer, or another one; code that comes with it is never run.

        Args:
            other: Whose tokenizer to load instead: a folder, a Hub id or an embedded name.
            local: Whether `other` may be a folder; True by default.

        Returns:
            The tokenizer, as transformers' `AutoTokenizer` gives it.

        Raises:
            CheckpointError: There is none, it has changed, it cannot be read, or it would need code of the checkpoint.

        Example:
            >>> import bertprune as bp
            >>> tokenizer = bp.Checkpoint.open("demo").tokenizer()
            >>> tokenizer.tokenize("good")
            ['good']
        """
        if other is None:
            self._source.check_unchanged()
            return load_tokenizer(self._source.tokenizer_folder(), self.name)
        return open_tokenizer(other, local=local)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the local weight files; none where weights are made on demand or not downloaded yet."""
        return self._source.weights.paths

    def folder(self) -> Path | None:
        """Return the local folder with its other files, downloaded if not cached, or None. Raises CheckpointError.

        Example:
            >>> import bertprune as bp
            >>> bp.Checkpoint.open("demo").folder().name
            'sentiment'
        """
        return (self._source.home or self._source.tokenizer_folder)()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Checkpoint":
        """Return the checkpoint itself: nothing changes it."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle keep the source, and open it again if its files are still the same; no weight is pickled."""
        return Checkpoint, (self._source,)

    def __repr__(self) -> str:
        """Show the name and the class."""
        return f"Checkpoint({self.name!r}, {self.facts.architecture}, {self.facts.parameters:,} parameters)"

    def _facts(self, weights: Weights, notes: tuple[str, ...]) -> Facts:
        skeleton = self._layout.skeleton
        tensors = weights.tensors or tuple(
            TensorFact(name, tuple(value.shape), "float32") for name, value in skeleton.named_parameters()
        )
        return Facts(
            architecture=type(skeleton).__name__,
            model_type=str(self.config.model_type),
            parameters=sum(parameter.numel() for parameter in skeleton.parameters()),
            dtype=main_dtype(tensors),
            bytes=weights.bytes,
            tensors=tensors,
            files=weights.files,
            notes=notes,
        )

    def _notes(self) -> Iterator[Note]:
        if self.missing:
            yield Note("{warning}.", code="note.missing_tensors", warning=self._missing_warning())
        if self.pruning is not None:
            yield from self.pruning.notes()

    def _missing_warning(self) -> MissingTensorsWarning:
        return MissingTensorsWarning(
            "{name} lacks {count:,} tensors that {model} expects: {tensors};"
            " they are initialised from the seed and never pruned",
            code="checkpoint.missing_tensors", name=self.name, count=len(self.missing),
            model=type(self._layout.skeleton).__name__,
            tensors=first_names(sorted(self.missing), most=5),
        )  # fmt: skip
