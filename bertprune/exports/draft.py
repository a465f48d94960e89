"""An export that has no name yet, as those who write and check it see it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..checkpoint.sentence_modules import transformer_folder
from .contents import WEIGHT_FILES, Contents, Form
from .onnx_form import OnnxForm
from .precision import Precision


@dataclass(frozen=True, eq=False)
class Draft:
    """A hidden folder, and what it is to hold."""

    folder: Path
    contents: Contents
    form: Form
    precision: Precision

    @property
    def inner(self) -> Path:
        """The folder of the transformer, which sentence-transformers may keep in one of its own."""
        return transformer_folder(self.folder, self.contents.checkpoint.name)

    @property
    def weights(self) -> Path:
        """The weight file."""
        return self.inner / WEIGHT_FILES[self.form]

    @cached_property
    def onnx(self) -> OnnxForm:
        """The ONNX form: one, so that its torch model is built once to be written, compared and described."""
        return OnnxForm(self.folder, self.contents, self.precision)
