"""What a recipe would do to a checkpoint, before any weight is read."""

from pathlib import Path

from ..checkpoint import Checkpoint
from ..model.hooks import MaskDtype
from ..pruning.preview import Preview, preview_recipe
from ..pruning.steps import check_mask_dtype, check_seed
from ..recipe import Recipe, RecipeLike


def preview(
    checkpoint: Checkpoint | str | Path, recipe: RecipeLike, seed: int = 0, *, mask_dtype: MaskDtype = "bool"
) -> Preview:
    """Show what a recipe matches and how much it would prune, before any weight is read.

    Whatever `prune` would refuse without looking at the values is refused here: the arguments, and names, options,
    selections and amounts against the model's shapes. Pure.

    Args:
        checkpoint: A `Checkpoint`, or what `Checkpoint.open` accepts: a name, a path or a Hub id.
        recipe: A `Recipe`, or whatever `Recipe.of` takes for one: a step, a list of steps, plain data, a file's path.
        seed: As for `prune`; it is checked, and changes nothing.
        mask_dtype: As for `prune`; it is checked, and changes nothing.

    Returns:
        For each step its targets, their number of weights, and the least and the most that would be pruned.

    Raises:
        CheckpointError: The checkpoint cannot be opened.
        RecipeError: The recipe does not fit it.

    Warns:
        MissingTensorsWarning: The checkpoint, opened here, lacks tensors that its architecture expects.

    Example:
        >>> import bertprune as bp
        >>> step = bp.Step(method="l1_unstructured", fraction=0.3, select=bp.Selection(roles="attention.query"))
        >>> seen = bp.preview("demo", step).steps[0]
        >>> len(seen.targets), seen.weights, seen.removed
        (4, 147456, (44236, 44236))
        >>> print(seen)
        l1_unstructured 0.3 local on roles attention.query: 44,236 of 147,456 weights in 4 tensors
    """
    opened, recipe = Checkpoint.open(checkpoint), Recipe.of(recipe)
    check_seed(seed)
    check_mask_dtype(mask_dtype)
    return preview_recipe(opened.skeleton(), recipe, opened.missing)
