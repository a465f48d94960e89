"""Turn a model into an ONNX file by transformers' own exporter, and see that onnxruntime computes the same from it."""

import errno
import io
import logging
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..checkpoint.json_files import first_line
from ..checkpoint.loading import building
from ..checkpoint.onnx_folder import OnnxModel, not_installed
from ..data.batches import Batch, accepted, evaluation_mode, made_up, position_limit
from ..errors import ExportError
from ..seeded import Seeded
from .folder import reason_for
from .precision import Quantize

MOST_IN_ONE = 2**31 - 2**24
"""The most bytes of weights that are kept in the file itself: protobuf reads no more than 2 GB."""
_LOGGERS = (
    "onnxscript.optimizer._constant_folding",
    "torch.onnx._internal.exporter._registration",
    "transformers.exporters.utils",
)
"""Of the exporters; some are imported later than they are named here."""
_SAMPLE = (2, 9)
"""Texts and tokens of the batch that is traced: with one text, the number of texts would be fixed to one."""
_QUANTISED = ["MatMul", "Gemm", "Gather"]
"""Multiplications, and the look-up of embeddings, which hold half of a small model."""
_GRAPHS = 2**24
"""Bytes that are enough for all but the weights, which onnxruntime writes twice while it quantises."""


def convert(model: PreTrainedModel, file: Path, inputs: Collection[str], quantize: Quantize | None) -> None:
    """Write a model without hooks, in eval mode, as an ONNX file for any number of texts and tokens.

    It takes those of `inputs` that the model accepts.

    Raises ExportError where transformers cannot export it, CheckpointError where packages are not installed.
    """
    try:
        import onnx_ir
        import onnxruntime  # noqa: F401, which quantises
        from transformers.exporters import OnnxConfig, OnnxExporter, OnnxRuntimeDynamicConfig, OnnxRuntimeQuantizer
    except ImportError:
        raise not_installed() from None
    kinds = OnnxRuntimeDynamicConfig(op_types_to_quantize=_QUANTISED, per_channel=True)
    texts, tokens = _SAMPLE
    made = made_up(model, texts, min(tokens, position_limit(model)))
    sample = {name: made[name] for name in made if name in inputs}
    free = {name: {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO} for name in sample}
    config = OnnxConfig(dynamic_shapes=free, quantizer=OnnxRuntimeQuantizer(kinds) if quantize else None)
    try:
        with building, Seeded(0), _in_silence():
            program = OnnxExporter().export(model, sample, config).program
    except Exception as error:
        if quantize:
            _check_room(model, error)
        raise ExportError(
            "transformers cannot write {model} as ONNX: {reason}",
            code="exports.not_onnx", model=type(model).__name__, reason=first_line(error),
        ) from None  # fmt: skip
    _forget_origin(program)
    _sum_before_norms(program)
    file.parent.mkdir(exist_ok=True)
    weights = sum(value.const_value.nbytes for value in program.graph.initializers.values())
    onnx_ir.save(program, file, external_data=f"{file.name}.data" if weights > MOST_IN_ONE else None)


def _check_room(model: PreTrainedModel, error: Exception) -> None:
    """Blame the disk where it is full: onnxruntime quantises in the folder for temporary files, and nowhere else.

    A file that onnx could not write to its end is only noticed when it is read, as one that is damaged.
    """
    size = 2 * sum(one.numel() * one.element_size() for one in model.parameters()) + _GRAPHS
    if not isinstance(error, OSError):
        if shutil.disk_usage(tempfile.gettempdir()).free > size:
            return
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise ExportError(
        "int8 needs up to {size:,} bytes in {folder}, the folder for temporary files ({reason}): free some there, or"
        " set TMPDIR to another folder",
        code="exports.no_room", size=size, folder=tempfile.gettempdir(), reason=reason_for(error),
    ) from None  # fmt: skip


@contextmanager
def _in_silence() -> Iterator[None]:
    """Keep what the exporters print and log in this thread off the terminal: what was written is checked instead."""
    thread = threading.get_ident()
    loggers = [logging.root, *map(logging.getLogger, _LOGGERS)]

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread

    for logger in loggers:
        logger.addFilter(elsewhere)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(elsewhere)


def _forget_origin(program: Any) -> None:
    """Remove what the exporter notes of each step: the lines of code on this machine that it came from."""
    for graph in program.graphs():
        graph.metadata_props.clear()
        for node in graph:
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()


def _sum_before_norms(program: Any) -> None:
    """Write an addition in front of a layer norm as the sum of two, which is the same.

    onnxruntime would join both to `SkipLayerNormalization`, which takes its CPU code several times as long (seen in
    1.32).
    """
    for graph in program.graphs():
        for node in graph:
            added = node.inputs[0].producer() if node.op_type == "LayerNormalization" else None
            if added is not None and added.op_type == "Add":
                added.op_type = "Sum"


def largest_difference(model: PreTrainedModel, onnx: OnnxModel) -> float:
    """Compare every output on batches of several sizes and lengths; return the largest difference, as a share."""
    largest = 0.0
    with evaluation_mode(model):
        for batch in _batches(model):
            expected, found = model(**batch), onnx(**accepted(onnx, batch))
            for name in onnx.output_names:
                largest = max(largest, _apart(getattr(expected, name), getattr(found, name), batch))
    return largest


def _batches(model: PreTrainedModel) -> Iterator[Batch]:
    """Make batches up: one text and several, short and long, with and without padding."""
    most = position_limit(model)
    for texts, tokens in ((1, 3), (3, 17), (2, 128), (1, 512)):
        batch = made_up(model, texts, min(tokens, most))
        if texts > 1 and "attention_mask" in batch:
            batch["attention_mask"][0, -2:] = 0
        yield batch


def _apart(expected: Tensor, found: Tensor, batch: Batch) -> float:
    """Return the largest difference of an output, as a share of its largest value; padding is left out."""
    mask = batch.get("attention_mask")
    if mask is not None and expected.shape[:2] == mask.shape:
        expected, found = expected[mask != 0], found[mask != 0]
    expected, found = expected.double(), found.double()
    return float((expected - found).abs().max() / expected.abs().max().clamp(min=1))
