"""In which numbers an export is written, and on which texts their cost is measured."""

from dataclasses import dataclass
from typing import Any, Literal

from ..checkpoint.loading import HALF
from ..data.calibration import Calibration
from ..errors import ExportError, first_names, shown

Dtype = Literal["float32", "float16", "bfloat16"]
Quantize = Literal["int8"]

DTYPES: tuple[Dtype, ...] = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Precision:
    """The dtype of the weights, and how they are quantised after that."""

    dtype: Dtype | None = None
    """None for that of the source; for ONNX, float32."""
    quantize: Quantize | None = None
    texts: Calibration | None = None
    """On which the drift is measured; None for the sample reviews."""

    @property
    def drifts(self) -> bool:
        """Whether outputs are not those of the pruned model any more."""
        return self.quantize is not None or self.dtype in HALF


def check_precision(form: str, dtype: Any, quantize: Any, texts: Any) -> Precision:
    """Check what a form is to be written in. Raises ExportError and DataError."""
    if dtype not in (None, *DTYPES):
        sentence = "dtype {dtype} is unknown; choose one of {known}"
        raise ExportError(sentence, code="exports.unknown_dtype", dtype=shown(dtype), known=first_names(DTYPES))
    if quantize not in (None, "int8"):
        sentence = "quantize {quantize} is unknown; choose int8"
        raise ExportError(sentence, code="exports.unknown_quantize", quantize=shown(quantize))
    if quantize is not None and form != "onnx":
        sentence = "quantize is for the form onnx; half precision (dtype) is for any form"
        raise ExportError(sentence, code="exports.quantize_form")
    if quantize is not None and dtype in HALF:
        sentence = "quantize starts from float32: leave dtype out"
        raise ExportError(sentence, code="exports.quantize_half")
    if form == "onnx" and dtype == "bfloat16":
        sentence = "onnxruntime computes in bfloat16 on few machines: choose float16, or quantize int8"
        raise ExportError(sentence, code="exports.onnx_bfloat16")
    precision = Precision(dtype, quantize, None if texts is None else Calibration.of(texts))
    if texts is not None and not precision.drifts:
        sentence = "texts are for telling what half precision or int8 changes: give dtype or quantize too"
        raise ExportError(sentence, code="exports.texts_alone")
    return precision
