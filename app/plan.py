"""The list of steps that a visitor edits, with undo and redo."""

from dataclasses import dataclass, replace

import bertprune as bp


@dataclass(frozen=True)
class Plan:
    """A recipe with its undo and redo history; every change returns a new plan."""

    recipe: bp.Recipe = bp.Recipe()
    past: tuple[bp.Recipe, ...] = ()
    future: tuple[bp.Recipe, ...] = ()

    @property
    def steps(self) -> tuple[bp.Step, ...]:
        """The current steps."""
        return self.recipe.steps

    def to(self, recipe: bp.Recipe) -> "Plan":
        """Change to another recipe; what was undone before cannot be redone any more."""
        if recipe == self.recipe:
            return self
        return Plan(recipe, (*self.past, self.recipe)[-100:])

    def add(self, step: bp.Step) -> "Plan":
        """Append a step."""
        return self._with((*self.steps, step))

    def remove(self, at: int) -> "Plan":
        """Remove a step."""
        return self._with(self.steps[:at] + self.steps[at + 1 :])

    def move(self, at: int, by: int) -> "Plan":
        """Move a step up (-1) or down (1); at the ends nothing changes."""
        to = at + by
        if not (0 <= at < len(self.steps) and 0 <= to < len(self.steps)):
            return self
        steps = list(self.steps)
        steps.insert(to, steps.pop(at))
        return self._with(tuple(steps))

    def clear(self) -> "Plan":
        """Remove all steps."""
        return self._with(())

    def undo(self) -> "Plan":
        """Undo one change."""
        if not self.past:
            return self
        return replace(self, recipe=self.past[-1], past=self.past[:-1], future=(self.recipe, *self.future))

    def redo(self) -> "Plan":
        """Redo one change."""
        if not self.future:
            return self
        return replace(self, recipe=self.future[0], past=(*self.past, self.recipe), future=self.future[1:])

    def _with(self, steps: tuple[bp.Step, ...]) -> "Plan":
        return self.to(bp.Recipe(steps=steps))
