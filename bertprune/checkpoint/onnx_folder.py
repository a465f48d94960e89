"""A folder that holds an ONNX model: described like a checkpoint, run by onnxruntime; it is not pruned or loaded."""

from dataclasses import dataclass
from glob import escape
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, first_names, shortened
from ..files import from_home
from .architecture import build_config
from .json_files import first_line, folder_config, read_object
from .sentence_modules import transformer_folder
from .source import EMBEDDED
from .tokenizer import load_tokenizer
from .weight_files import ONNX_FILE, onnx_file

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_OUTPUTS = {"logits", "last_hidden_state"}
"""One of these is what an answer is read from."""
_ERRORS_ONLY = 3
"""A level of onnxruntime's log."""


class OnnxModel(nn.Module):
    """An ONNX model that is called like the transformers model that it was made from; it cannot be trained."""

    def __init__(self, session: Any, config: "PreTrainedConfig") -> None:
        """Keep the session of onnxruntime, and the config of the model that it was made from."""
        super().__init__()
        self.session, self.config = session, config
        self.input_names = {one.name for one in session.get_inputs()}
        self.output_names = [one.name for one in session.get_outputs()]

    def forward(self, **given: Tensor) -> SimpleNamespace:
        """Run the model, and return its outputs by name."""
        found = self.session.run(None, {name: value.numpy() for name, value in given.items()})
        return SimpleNamespace(**dict(zip(self.output_names, map(torch.from_numpy, found), strict=True)))

    @property
    def device(self) -> torch.device:
        """Where its inputs are expected."""
        return torch.device("cpu")

    @property
    def base_model(self) -> "OnnxModel":
        """The model itself: what comes before a head cannot be asked for alone."""
        return self

    @property
    def embeds(self) -> bool:
        """Whether it returns a vector for each token."""
        return "last_hidden_state" in self.output_names

    def get_input_embeddings(self) -> SimpleNamespace:
        """Return how many token ids it knows, as an embedding does."""
        return SimpleNamespace(num_embeddings=int(self.config.vocab_size))


@dataclass(frozen=True)
class Made:
    """What an export of ours says of an ONNX model; None where it is not known."""

    dtype: str | None = None
    """The dtype of its weights before they were quantised."""
    quantize: str | None = None
    parameters: int | None = None
    macs: tuple[float, float] | None = None
    """The multiply-accumulates of its layers for each token of a text, and for each pair of its tokens."""

    @classmethod
    def of(cls, recorded: Any) -> "Made":
        """Read what a report records, which may be anything."""
        given = recorded if isinstance(recorded, dict) else {}
        parameters, macs = given.get("parameters"), given.get("macs")
        numbers = [float(one) for one in macs if isinstance(one, int | float)] if isinstance(macs, list) else []
        texts = {key: given[key] for key in ("dtype", "quantize") if isinstance(given.get(key), str)}
        return cls(
            parameters=parameters if isinstance(parameters, int) else None,
            macs=(numbers[0], numbers[1]) if len(numbers) == 2 else None,
            **texts,
        )


class OnnxFolder:
    """An ONNX model with the config and the tokenizer beside it."""

    def __init__(self, folder: Path, file: Path, name: str) -> None:
        """Read the config of a folder. Raises CheckpointError."""
        self.name, self.file = name, file
        self._folder, self._inner = folder, _inner(file)
        raw = folder_config(self._inner, name)
        self.config, _ = build_config(raw, (), name)
        named = raw.get("architectures")
        self.architecture = str(named[0]) if isinstance(named, list) and named else type(self.config).__name__
        report = folder / "report.json"
        self.made = Made.of(read_object(report, f"{name}: report.json").get("onnx") if report.is_file() else None)

    @property
    def title(self) -> str:
        """The name for a report, which says that it is ONNX, and whether it was quantised."""
        return f"{self.name} (ONNX{f', {self.made.quantize}' if self.made.quantize else ''})"

    def size(self) -> int:
        """Return the bytes of the model, with the file beside it that holds the weights of a large one."""
        beside = self.file.parent.glob(f"{escape(self.file.name)}*")
        return sum(path.stat().st_size for path in beside if path.is_file())

    def folder(self) -> Path:
        """Return the whole folder, with the modules of sentence-transformers where there are any."""
        return self._folder

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Load the tokenizer. Raises CheckpointError."""
        return load_tokenizer(self._inner, self.name)

    def model(self) -> OnnxModel:
        """Open the model, in as many threads as torch uses; its class is named after the one it was made from.

        Raises CheckpointError where onnxruntime is not installed, or cannot read it.
        """
        cls: type[OnnxModel] = type(self.architecture, (OnnxModel,), {})
        model = cls(_session(self.file, self.name), self.config)
        if not model.input_names <= _INPUTS or _OUTPUTS.isdisjoint(model.output_names):
            raise CheckpointError(
                "{name} takes {inputs} and returns {outputs}: expected inputs among {known} and one of the outputs"
                " {wanted}",
                code="onnx.signature", name=self.name, inputs=first_names(sorted(model.input_names)),
                outputs=first_names(model.output_names), known=", ".join(sorted(_INPUTS)),
                wanted=", ".join(sorted(_OUTPUTS)),
            )  # fmt: skip
        return model


def find_onnx(given: Any) -> OnnxFolder | None:
    """Return the ONNX model that a local folder holds in place of weights, or an .onnx file; None for anything else.

    Raises CheckpointError where what is beside it cannot be read.
    """
    if not isinstance(given, str | Path) or given in EMBEDDED:
        return None
    path = from_home(given, CheckpointError)
    try:
        is_file, is_folder = path.is_file() and path.suffix == ONNX_FILE.suffix, path.is_dir()
    except (OSError, ValueError):  # no path can have that name
        return None
    if is_file:
        return OnnxFolder(_inner(path), path, path.name)
    name = shortened(path.name or path.resolve().name, 100)
    file = onnx_file(transformer_folder(path, name)) if is_folder else None
    return OnnxFolder(path, file, name) if file else None


def _inner(file: Path) -> Path:
    """Return the folder of the config and tokenizer of an ONNX file, which may be in a folder of its own."""
    return file.parent.parent if file.parent.name == ONNX_FILE.parent.name else file.parent


def _session(file: Path, name: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise not_installed() from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _ERRORS_ONLY
    # otherwise its threads keep spinning after a run, and torch computes at half its speed meanwhile
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CheckpointError(
            "{name}: onnxruntime cannot read {file}: {reason}",
            code="onnx.unreadable", name=name, file=file.name, reason=first_line(error),
        ) from None  # fmt: skip


def onnxruntime_version() -> str:
    """Return the version of onnxruntime. Raises CheckpointError where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise not_installed() from None
    return str(onnxruntime.__version__)


def not_installed() -> CheckpointError:
    """Return the error for packages of ONNX that are not there."""
    return CheckpointError(
        'onnx, onnxscript and onnxruntime are needed to write and run ONNX models: pip install "bertprune[onnx]"',
        code="onnx.not_installed",
    )
