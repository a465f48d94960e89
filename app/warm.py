"""Import what is slow to import in the background, while the page is already served."""

import logging
import threading

log = logging.getLogger("bertprune.app")
_ready = threading.Event()
_started = threading.Lock()


def start() -> None:
    """Start to import torch, transformers and seaborn in the background, once."""
    if _started.acquire(blocking=False):
        threading.Thread(target=_load, name="bertprune-warm", daemon=True).start()


def wait(seconds: float = 120) -> None:
    """Wait until the libraries are imported."""
    start()
    _ready.wait(seconds)


def _load() -> None:
    try:
        import seaborn  # noqa: F401
        import torch  # noqa: F401
        import transformers

        import bertprune as bp

        transformers.logging.set_verbosity_error()
        bp.methods()
        bp.tree, bp.snapshot, bp.sparsity, bp.preview, bp.prune  # noqa: B018
    except Exception:
        log.exception("the libraries could not be loaded in the background")
    finally:
        _ready.set()
