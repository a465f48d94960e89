"""Where the weights of an export came from, without any path of this machine."""

from dataclasses import dataclass
from typing import Any

from ..checkpoint import Checkpoint
from ..errors import CheckpointError


@dataclass(frozen=True)
class Origin:
    """The checkpoint that was pruned."""

    name: str
    hub_id: str | None
    revision: str | None
    architecture: str
    model_type: str
    dtype: str

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Origin":
        """Describe a checkpoint."""
        facts = checkpoint.facts
        return cls(
            name=checkpoint.name.encode("utf-8", "replace").decode(),
            hub_id=checkpoint.hub_id,
            revision=checkpoint.revision,
            architecture=facts.architecture,
            model_type=facts.model_type,
            dtype=facts.dtype,
        )

    @classmethod
    def of_report(cls, source: Any, name: str) -> "Origin":
        """Read the description of the source from the report of the export `name`. Raises CheckpointError."""
        try:
            origin = cls(**source)
        except TypeError:
            sentence = "{name}: report.json does not describe the source checkpoint; the export is damaged"
            raise CheckpointError(sentence, code="exports.no_source", name=name) from None
        texts = (origin.name, origin.architecture, origin.model_type, origin.dtype)
        optional = (origin.hub_id, origin.revision)
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(o, str | None) for o in optional):
            sentence = "{name}: report.json describes the source checkpoint by something other than text"
            raise CheckpointError(sentence, code="exports.source_not_text", name=name)
        return origin
