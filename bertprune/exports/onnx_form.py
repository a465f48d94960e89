"""The ONNX form: made from a torch model that gives the same, and compared with it in onnxruntime."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint.onnx_folder import find_onnx
from ..checkpoint.sentence_modules import transformer_folder
from ..checkpoint.tokenizer import load_tokenizer
from ..checkpoint.tokenizer_files import has_vocabulary
from ..checkpoint.weight_files import ONNX_FILE
from ..data.embedding_folder import embedding_of
from ..model.copies import copied
from ..model.macs import computed_macs
from .contents import Contents
from .drift import Drift, drift_on
from .onnx_file import convert, largest_difference
from .onnx_lines import OnnxLines
from .precision import Precision
from .same_outputs import check_same, model_of, other_outputs, outputs

CLOSE = 1e-4
"""How far an output in float32 may be from torch's, as a share of the largest of them."""
_INPUTS = ("input_ids", "attention_mask")


@dataclass(frozen=True)
class OnnxForm:
    """An ONNX model in a folder that holds config and tokenizer, and what it is made from."""

    folder: Path
    contents: Contents
    precision: Precision

    @cached_property
    def model(self) -> PreTrainedModel:
        """What is written, in torch: in float32; without its head where the folder makes embeddings."""
        embeds = embedding_of(self._whole, self.folder, self._name).source is not None
        return self._whole.base_model if embeds else self._whole

    @cached_property
    def _whole(self) -> Any:
        return model_of(self.contents)

    def write(self) -> None:
        """Write the file. Raises ExportError and CheckpointError."""
        named = () if self._tokenizer is None else self._tokenizer.model_input_names
        inputs = {*_INPUTS, *named} if named else {*_INPUTS, "token_type_ids"}
        dtype = getattr(torch, self.precision.dtype or "float32")
        model = self.model if dtype == torch.float32 else copied(self.model).to(dtype)
        convert(model, self._inner / ONNX_FILE, inputs, self.precision.quantize)

    def check(self, expected: list[Tensor] | None) -> Drift | None:
        """Run the file on made-up texts of several sizes; return the drift on texts where there must be one.

        `expected` is what the masked model gives. Raises ExportError where float32 gives anything else than torch.
        """
        if expected is not None:
            check_same(expected, outputs(self._whole))
        found = find_onnx(self.folder)
        assert found is not None
        if self.precision.drifts:
            return drift_on(self.precision.texts, self.folder, self._name, self.model, found.model())
        share = largest_difference(self.model, found.model())
        if not share <= CLOSE:
            raise other_outputs(share)
        return None

    def lines(self) -> str:
        """Return the lines of Python that run it. Raises CheckpointError and DataError."""
        return OnnxLines(self.folder, self._name, self.model, self._tokenizer).text()

    def facts(self) -> dict[str, Any]:
        """Return what the report says of it, so that its speed can be compared."""
        return {
            "dtype": self.precision.dtype or "float32",
            "quantize": self.precision.quantize,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "macs": computed_macs(self.model),
        }

    @property
    def _name(self) -> str:
        return self.contents.checkpoint.name

    @property
    def _inner(self) -> Path:
        return transformer_folder(self.folder, self._name)

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase | None:
        return load_tokenizer(self._inner, self._name) if has_vocabulary(self._inner) else None
