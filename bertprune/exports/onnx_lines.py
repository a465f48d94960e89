"""The lines of Python in a card that run an ONNX model: from texts to labels, numbers, words or embeddings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint.json_files import read_object
from ..checkpoint.sentence_modules import SentenceModule, read_modules, transformer_folder
from ..checkpoint.weight_files import ONNX_FILE, SINGLE
from ..data.batches import prompt_tokens, token_limit
from ..data.cross_encoder import read_activation
from ..data.embedding import Dense, Embedding, LayerNorm
from ..data.embedding_folder import embedding_of

_POOLED = {
    "cls": "hidden[np.arange(len(hidden)), mask.argmax(1)]",
    "max": "np.where(mask[..., None] == 0, -np.inf, hidden).max(1)",
    "mean": "(hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)",
    "mean_sqrt_len_tokens": "(hidden * mask[..., None]).sum(1) / np.sqrt(mask.sum(1, keepdims=True))",
    "weightedmean": "(hidden * (mask * places)[..., None]).sum(1) / (mask * places).sum(1, keepdims=True)",
    "lasttoken": "hidden[np.arange(len(hidden)), (mask * places).argmax(1)]",
}
_ACTIVATED = {
    "Identity": "{rows}",
    "Tanh": "np.tanh({rows})",
    "ReLU": "np.maximum({rows}, 0)",
    "Sigmoid": "1 / (1 + np.exp(-({rows})))",
    "SiLU": "(lambda x: x / (1 + np.exp(-x)))({rows})",
    "ELU": "(lambda x: np.where(x > 0, x, np.expm1(x)))({rows})",
    "LeakyReLU": "(lambda x: np.where(x > 0, x, 0.01 * x))({rows})",
    "Softplus": "np.log1p(np.exp({rows}))",
    "GELU": "(lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2)({rows})",
}
_NORM = (
    "embeddings -= embeddings.mean(1, keepdims=True)",
    "embeddings /= np.sqrt((embeddings**2).mean(1, keepdims=True) + 1e-5)",
    'embeddings = embeddings * layer["norm.weight"] + layer["norm.bias"]',
)
_IMPORTS = {
    r"\bjson\.": "import json",
    r"\bmath\.": "import math",
    r"\bPath\(": "from pathlib import Path",
    r"\bnp\.": "import numpy as np",
    r"\bonnxruntime\.": "import onnxruntime",
    r"\btorch\.": "import torch",
    r"\bload_file\(": "from safetensors.numpy import load_file",
    r"\bAutoTokenizer\.": "from transformers import AutoTokenizer",
}


@dataclass(frozen=True)
class OnnxLines:
    """Lines for the ONNX model of a folder."""

    folder: Path
    name: str
    """What errors call it."""
    model: PreTrainedModel
    """What the ONNX model was made from."""
    tokenizer: PreTrainedTokenizerBase | None

    def text(self) -> str:
        """Return the lines. Raises CheckpointError and DataError where the folder's modules are not known."""
        tokenizer = f'f"{self._inner}"' if self.tokenizer else '"path/to/its/tokenizer"'
        body = "\n".join(
            [
                'folder = "path/to/this/folder"',
                f"tokenizer = AutoTokenizer.from_pretrained({tokenizer})",
                f'session = onnxruntime.InferenceSession(f"{self._inner}/{ONNX_FILE}")',
                *self._texts(),
                f'batch = tokenizer(texts, padding=True, truncation=True{self._limit()}, return_tensors="np")',
                "given = {one.name: batch[one.name] for one in session.get_inputs()}",
                *self._answers(),
            ]
        )
        return "\n".join([*(line for used, line in _IMPORTS.items() if re.search(used, body)), "", body])

    @cached_property
    def _modules(self) -> tuple[SentenceModule, ...]:
        return read_modules(self.folder, self.name)

    @cached_property
    def _embedding(self) -> Embedding:
        return embedding_of(self.model, self.folder, self.name)

    @property
    def _inner(self) -> str:
        return "/".join(filter(None, ("{folder}", self._modules[0].path if self._modules else "")))

    @property
    def _kind(self) -> str:
        return type(self.model).__name__

    def _texts(self) -> Iterator[str]:
        if self._kind.endswith("ForMaskedLM"):
            yield 'texts = [f"The film was {tokenizer.mask_token}."]'
            return
        prompt, lower = self._embedding.prompt, self._embedding.lower_case
        yield 'texts = ["A first text", "Another one"]'
        if prompt or lower:
            text = f"{prompt!r} + text" if prompt else "text"
            yield f"texts = [{f'({text}).lower()' if lower else text} for text in texts]"

    def _limit(self) -> str:
        if self.tokenizer is None:
            return ""
        return f", max_length={self._most(self.tokenizer)}"

    def _most(self, tokenizer: PreTrainedTokenizerBase) -> int:
        return token_limit(tokenizer, [self.model], None, self._embedding.max_length)

    def _answers(self) -> list[str]:
        heads = {
            "ForSequenceClassification": self._classes,
            "ForTokenClassification": self._token_classes,
            "ForMaskedLM": self._words,
        }
        of_head = next((lines for head, lines in heads.items() if self._kind.endswith(head)), None)
        if of_head is not None:
            return ['logits = session.run(["logits"], given)[0]', *of_head()]
        if re.search("For[A-Z]", self._kind):
            return [
                "for one, values in zip(session.get_outputs(), session.run(None, given)):",
                "    print(one.name, values)",
            ]
        return [*self._embeddings(), "print(embeddings)"]

    def _classes(self) -> Iterator[str]:
        config = self.model.config
        if config.num_labels == 1:
            activation = type(read_activation(self.folder, self.model, self.name)).__name__
            yield f"print({_ACTIVATED[activation].format(rows='logits[:, 0]')})"
            return
        yield self._labels()
        if config.problem_type == "multi_label_classification":
            yield "print([[labels[str(at)] for at in np.flatnonzero(row > 0)] for row in logits])"
        else:
            yield "print([labels[str(at)] for at in logits.argmax(-1)])"

    def _labels(self) -> str:
        config = transformer_folder(self.folder, self.name) / "config.json"
        if "id2label" not in read_object(config, config.name):  # which leaves out what transformers takes for granted
            return f"labels = {{str(at): name for at, name in {self.model.config.id2label}.items()}}"
        return f'labels = json.loads(Path(f"{self._inner}/config.json").read_text(encoding="utf-8"))["id2label"]'

    def _token_classes(self) -> Iterator[str]:
        yield self._labels()
        yield 'for row, mask in zip(logits.argmax(-1), batch["attention_mask"]):'
        yield "    print([labels[str(at)] for at in row[mask == 1]])"

    def _words(self) -> Iterator[str]:
        yield 'blanks = logits[batch["input_ids"] == tokenizer.mask_token_id]'
        yield "print([tokenizer.convert_ids_to_tokens(row.argsort()[:-6:-1].tolist()) for row in blanks])"

    def _embeddings(self) -> Iterator[str]:
        embedding = self._embedding
        pooled = [_POOLED[name] for name in embedding.poolings]
        yield 'hidden, mask = session.run(["last_hidden_state"], given)[0], batch["attention_mask"]'
        if not embedding.with_prompt and self.tokenizer is not None:
            count = prompt_tokens(self.tokenizer, embedding.prompt, self._most(self.tokenizer))
            yield f"mask[:, :{count}] = 0  # the prompt is not pooled"
        if any("places" in one for one in pooled):
            yield "places = np.arange(1, mask.shape[1] + 1)"
        joined = pooled[0] if len(pooled) == 1 else f"np.concatenate([{', '.join(pooled)}], 1)"
        yield f"embeddings = {joined}"
        applied = [module for module in self._modules[2:] if module.kind != "Dropout"]
        for module, layer in zip(applied, embedding.layers, strict=True):
            yield from self._layer(module, layer)
        if embedding.truncate:
            yield f"embeddings = embeddings[:, :{embedding.truncate}]"

    def _layer(self, module: SentenceModule, layer: nn.Module) -> Iterator[str]:
        if not isinstance(layer, Dense | LayerNorm):
            yield "embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)"
            return
        file = next(file for file in SINGLE if (self.folder / module.path / file).exists())
        path = f'f"{{folder}}/{module.path}/{file}"'
        read = "{{name: one.numpy() for name, one in torch.load({}, weights_only=True).items()}}"
        yield f"layer = {f'load_file({path})' if file == SINGLE[0] else read.format(path)}"
        yield from _dense(layer) if isinstance(layer, Dense) else _NORM


def _dense(layer: Dense) -> Iterator[str]:
    bias = ' + layer["linear.bias"]' if layer.linear.bias is not None else ""
    activation = _ACTIVATED[type(layer.activation).__name__]
    rows = activation.format(rows=f'embeddings @ layer["linear.weight"].T{bias}')
    if layer.add:
        before = 'embeddings @ layer["residual.weight"].T' if hasattr(layer, "residual") else "embeddings"
        rows = f"{rows} + {before}"
    yield f"embeddings = {rows}"
