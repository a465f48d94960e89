"""A run: a pure function of a checkpoint, a recipe and a seed."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..checkpoint.loading import HALF
from ..checkpoint.vocabulary import cut_tokenizer
from ..errors import Note, SelectionError
from ..model.copies import copied, twin
from ..model.cuts import Cut, cut_model, without
from ..model.diff import SnapshotDiff, diff
from ..model.hooks import MaskDtype, attach
from ..model.macs import encoder_macs
from ..model.snapshot import Snapshot, snapshot
from ..parallel import Progress, check_progress, part_of, silent
from ..pruning.decide import decide
from ..pruning.outcomes import StepOutcome, hook_makers, reconstruction_notes, removal_notes
from ..pruning.steps import check_mask_dtype, check_seed
from ..recipe import Recipe, RecipeLike
from ..reports.sparsity import SparsityReport, sparsity
from ..step import Step
from .calibrate import calibrate
from .packed import PackedMasks, with_earlier
from .script import script
from .spill import SpilledValues

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def prune(
    checkpoint: Checkpoint | str | Path,
    recipe: RecipeLike,
    seed: int = 0,
    *,
    mask_dtype: MaskDtype = "bool",
    calibration: Any = None,
    progress: Progress = silent,
) -> "PruningRun":
    """Prune a checkpoint by a recipe; the checkpoint and the global random state stay as they are.

    The same checkpoint, recipe and seed, and the same calibration texts where a step reads them, give the same masks.

    Args:
        checkpoint: A `Checkpoint`, or what `Checkpoint.open` accepts: a name, a path or a Hub id.
        recipe: A `Recipe`, or whatever `Recipe.of` takes for one: a step, a list of steps, plain data, a file's path.
        seed: An integer that seeds all random choices, from 0 to 2^63 - 1.
        mask_dtype: The dtype of the masks on `run.model`: "bool", or "float" as torch makes them.
        calibration: Texts for steps whose method reads inputs or gradients, or that reconstruct: a list of texts or of
            pairs, a table or a file of them, or a `Calibration`; a few hundred, unlabelled. The demos bring their own.
        progress: A function called with the share done (0 to 1) and a few words; it may raise to cancel.

    Returns:
        The run: masks, report, snapshots before and after, and the pruned model when it is asked for.

    Raises:
        CheckpointError: The checkpoint cannot be opened or read.
        RecipeError: The recipe does not fit it, or needs calibration texts.
        DataError: The calibration texts cannot be read.

    Warns:
        MissingTensorsWarning: The checkpoint, opened here, lacks tensors that its architecture expects.
        NoEffectWarning: A step pruned nothing.
        OtherTextsWarning: The recipe says on which texts it was made, and these are others.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.3, scope="global"))
        >>> f"{run.report.total.sparsity:.2%}"
        '30.00%'
    """
    opened, recipe = Checkpoint.open(checkpoint), Recipe.of(recipe)
    check_seed(seed)
    check_mask_dtype(mask_dtype)
    check_progress(progress)
    progress(0.0, f"loading {opened.name}")
    pristine = opened.model(seed, part_of(progress, 0.0, 0.1))
    texts = calibrate(opened, pristine, recipe, calibration, seed)
    decision = decide(
        pristine,
        recipe,
        seed,
        opened.missing,
        part_of(progress, 0.1, 0.8),
        texts.batches,
        texts.output,
        texts.reading,
    )
    progress(0.8, "counting")
    counted, values = twin(pristine), as_stored(decision.values, opened)
    makers = hook_makers(decision.outcomes)
    cut_model(counted, decision.cut)
    attach(counted, decision.masks, decision.history, mask_dtype, values, makers=makers, derive=False)
    run = PruningRun(
        checkpoint=opened,
        recipe=recipe.model_copy(update={"calibration": texts.record}),
        seed=seed,
        steps=tuple(decision.outcomes),
        report=sparsity(counted),
        history={name: tuple(steps) for name, steps in decision.history.items()},
        mask_dtype=mask_dtype,
        masks=PackedMasks(with_earlier(decision.masks, without(pristine, decision.cut))),
        values=SpilledValues(values),
        cut=decision.cut,
        notes=(*texts.notes, *removal_notes(decision.outcomes), *reconstruction_notes(decision.outcomes)),
        _texts_given=texts.given,
    )
    progress(1.0, "done")
    return run


def as_stored(values: dict[str, Tensor], checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Round new values to what the checkpoint's files hold, so that what is measured is what leaves."""
    for name, value in values.items():
        if (stored := checkpoint.source_dtype(name)) in HALF:
            values[name] = value.to(getattr(torch, stored)).to(value.dtype)
    return values


@dataclass(eq=False)
class PruningRun:
    """Hold the result of pruning a checkpoint by a recipe: packed masks, a report, and the pruned model on demand.

    Masks, report, snapshots and diff show what the recipe did. The model is yours to train, prune further or bake:
    every function that is given the run (`evaluate`, `export`, `sparsity`, `compare`, `snapshot`, figures) uses it as
    it is at that time.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*.layer.0.*.query"))
        >>> mask = run.masks["bert.encoder.layer.0.attention.self.query.weight"]
        >>> int(mask.sum()), mask.numel()
        (18432, 36864)
        >>> run.model.bert.encoder.layer[0].attention.self.query.weight_mask.equal(mask)
        True
    """

    checkpoint: Checkpoint
    recipe: Recipe
    seed: int
    steps: tuple[StepOutcome, ...]
    """What each step did."""
    report: SparsityReport
    """What is masked, zero and alive; `report.total` over the targets, `report.model` over everything."""
    history: dict[str, tuple[Step, ...]]
    """The steps that touched each target, by its name."""
    mask_dtype: MaskDtype
    masks: PackedMasks = field(repr=False)
    """The masks by target name, those too that the checkpoint came with: bool, True is alive; each is unpacked when it
    is asked for."""
    values: SpilledValues = field(repr=False, default_factory=lambda: SpilledValues({}))
    """The new values of the tensors that were reconstructed, by target name, the masked ones included."""
    cut: Cut = Cut()
    """What is taken out of the model: `cut.layers`, by the numbers that they have in the checkpoint, and tokens;
    `cut.kept` are the ids of those that stay."""
    notes: tuple[Note, ...] = ()
    """What to know of the calibration texts, and of the layers whose reconstruction is kept."""
    _texts_given: bool = field(default=False, repr=False)
    """Whether the calibration texts are the caller's; a demo may bring its own."""
    _model: nn.Module | None = field(default=None, repr=False)
    _tokenizer: Any = field(default=None, repr=False)
    _snapshots: dict[str, Snapshot] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def before(self) -> Snapshot:
        """The model as it was, before any forward pass."""
        with self._lock:
            if "before" not in self._snapshots:
                self._snapshots["before"] = snapshot(self.checkpoint.model(self.seed))
            return self._snapshots["before"]

    @property
    def after(self) -> Snapshot:
        """The model with its hooks on, before any forward pass."""
        with self._lock:
            if "after" not in self._snapshots:
                self._snapshots["after"] = snapshot(self._pruned_twin())
            return self._snapshots["after"]

    def _pruned_twin(self) -> nn.Module:
        pruned = twin(self.checkpoint.model(self.seed))
        cut_model(pruned, self.cut)
        self._attach(pruned)
        return pruned

    @property
    def macs(self) -> tuple[float, float] | None:
        """The multiply-accumulates of all layers for a text of 128 tokens, before and after; None for a family that is
        not known.

        Heads and neurons that are wholly masked take none, as in the export `small`; other masks save none.
        """
        try:
            return encoder_macs(self.checkpoint.model(self.seed), 128), encoder_macs(self._pruned_twin(), 128)
        except SelectionError:
            return None

    @property
    def diff(self) -> SnapshotDiff:
        """What changed from before to after."""
        return diff(self.before, self.after)

    @property
    def model(self) -> nn.Module:
        """The pruned model with its hooks and masks, in eval mode; yours, and built when first asked for.

        All threads get the same one.
        """
        with self._lock:
            if self._model is None:
                model = self.checkpoint.load(self.seed)
                cut_model(model, self.cut)
                self._attach(model)
                self._model = model
            return self._model

    def _attach(self, model: nn.Module) -> None:
        attach(model, self.masks, self.history, self.mask_dtype, self.values, makers=hook_makers(self.steps))

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The tokenizer of the pruned model: the checkpoint's, without the tokens that were removed.

        Raises CheckpointError where the checkpoint has none.
        """
        kept = self.cut.kept
        if kept is None:
            return self.checkpoint.tokenizer()
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = cut_tokenizer(self.checkpoint.tokenizer(), kept.tolist(), self.checkpoint.name)
            return self._tokenizer

    def built(self) -> nn.Module | None:
        """Return the model as it is now if it has been built, without building it; None otherwise.

        Example:
            >>> import bertprune as bp
            >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*.query"))
            >>> run.built() is None, run.model is run.built()
            (True, True)
        """
        return self._model

    def release(self) -> None:
        """Drop the model and what you changed in it; `model` builds it again as the recipe left it.

        Example:
            >>> import bertprune as bp
            >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*.query"))
            >>> model = run.model
            >>> run.release()
            >>> run.model is model
            False
        """
        with self._lock:
            self._model = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "PruningRun":
        """Copy the run with its model as it is now, where that has been built; checkpoint and masks are shared."""
        model = self._model
        return replace(self, _model=None if model is None else copied(model), _lock=threading.RLock())

    def __getstate__(self) -> dict[str, Any]:
        """Let pickle take the model along where it has been built, and methods by name."""
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_tokenizer")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what pickle kept."""
        vars(self).update(state, _lock=threading.RLock(), _tokenizer=None)

    def as_python(self, ours: bool = False) -> str:
        """Write the run as a short script: in plain torch where that is possible, otherwise in bertprune.

        Args:
            ours: Whether to write it in bertprune in any case; default False.

        Returns:
            The script. Where it needs bertprune, a comment in it says why.

        Raises:
            RecipeError: A method of the recipe is no longer registered.

        Example:
            >>> import bertprune as bp
            >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*.query"))
            >>> "from torch.nn.utils import prune" in run.as_python()
            True
        """
        return script(self.checkpoint, self.recipe, self.seed, ours, self._texts_given)
