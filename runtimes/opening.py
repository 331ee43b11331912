"""Opening a bundle for prediction: which artifact, which runtime, and the predictor for its kind of task."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from edgewright.errors import MissingExtraError, UsageError
from edgewright.runtimes import RUNTIMES, Runtime
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.bundle import Bundle, BundleArtifact
from edgewright.runtimes.entities import EntityPredictor
from edgewright.runtimes.predictor import Event, Predictor

if TYPE_CHECKING:  # these two import this module
    from edgewright.runtimes.generator import Generator
    from edgewright.runtimes.stream import Stream

# Tried in this order when the caller names no runtime: the fastest first; Core ML is a reference interpreter here.
PREFERENCE: tuple[Runtime, ...] = ("litert", "onnx", "executorch", "coreml")
LIBRARY = {"litert": "ai_edge_litert", "onnx": "onnxruntime", "executorch": "executorch", "coreml": "coremltools"}


# A bundle that comes with the package is known to be a classifier; of what kind a folder is, only its manifest says.
@overload
def open_bundle(
    bundle: Literal["urgency"],
    runtime: str | None = None,
    numerics: str | None = None,
    threads: int = 1,
    on_prediction: Callable[[Event], None] | None = None,
) -> Predictor: ...
@overload
def open_bundle(
    bundle: str | Path | Bundle,
    runtime: str | None = None,
    numerics: str | None = None,
    threads: int = 1,
    on_prediction: Callable[[Any], None] | None = None,
) -> "Predictor | EntityPredictor | Generator | Stream": ...
def open_bundle(
    bundle: str | Path | Bundle,
    runtime: str | None = None,
    numerics: str | None = None,
    threads: int = 1,
    on_prediction: Callable[[Any], None] | None = None,
) -> "Predictor | EntityPredictor | Generator | Stream":
    """What a bundle is used through; `edgewright.load` is this function.

    A Generator where the bundle writes replies, a stream where it reads sequences, else the Predictor or the
    EntityPredictor of `open_predictor`, which takes the same arguments. Who knows the kind of a folder asks for it, and
    so tells a type checker: open_classifier, open_entities, open_generator (runtimes/generator.py), open_stream
    (runtimes/stream.py).

    Raises:
        UsageError: no such bundle, runtime or numerics, or there are no predictions to be told of.
    """
    opened = opened_bundle(bundle)
    if opened.kind not in ("generation", "sequence"):
        return open_predictor(opened, runtime, numerics, threads, on_prediction)
    if on_prediction is not None:
        raise UsageError(f"{opened.path}: kind '{opened.kind}' makes no predictions; leave on_prediction out")
    from edgewright.runtimes import generator, stream  # they import this module

    if opened.kind == "generation":
        return generator.open_generator(opened, runtime, numerics, threads)
    return stream.open_stream(opened, runtime, numerics, threads)


def open_predictor(
    bundle: str | Path | Bundle,
    runtime: str | None = None,
    numerics: str | None = None,
    threads: int = 1,
    on_prediction: Callable[[Any], None] | None = None,
) -> Predictor | EntityPredictor:
    """A ready predictor, of labels or of entities as the bundle's task is.

    Args:
        bundle: a folder, or the name of a bundle of the zoo ("urgency").
        runtime: "litert", "onnx", "executorch" or "coreml"; by default the first of these that is installed and
            that the bundle has an artifact for.
        numerics: as in the manifest; by default the smallest artifact.
        on_prediction: called with an Event, or an EntityEvent, after each prediction.

    Raises:
        UsageError: no such bundle, runtime or numerics, or the bundle's task is of another kind.
    """
    opened = opened_bundle(bundle)
    if opened.kind == "sequence":
        raise UsageError(
            f"{opened.path}: a bundle of kind 'sequence' is read position by position: "
            "open it with edgewright.runtimes.stream.open_stream"
        )
    if opened.kind == "tags":
        return open_entities(opened, runtime, numerics, threads, on_prediction)
    return open_classifier(opened, runtime, numerics, threads, on_prediction)


def open_classifier(
    bundle: str | Path | Bundle,
    runtime: str | None = None,
    numerics: str | None = None,
    threads: int = 1,
    on_prediction: Callable[[Event], None] | None = None,
) -> Predictor:
    """As `open_predictor`, for a bundle of kind "single_label"."""
    opened, chosen, artifact = choose(bundle, "single_label", runtime, numerics)
    return Predictor(opened, opened.runner(artifact, threads), chosen, artifact.numerics, on_prediction)


def open_entities(
    bundle: str | Path | Bundle,
    runtime: str | None = None,
    numerics: str | None = None,
    threads: int = 1,
    on_prediction: Callable[[Any], None] | None = None,
) -> EntityPredictor:
    """As `open_predictor`, for a bundle of kind "tags"."""
    opened, chosen, artifact = choose(bundle, "tags", runtime, numerics)
    return EntityPredictor(opened, opened.runner(artifact, threads), chosen, artifact.numerics, on_prediction)


def choose(
    bundle: str | Path | Bundle, kind: str, runtime: str | None, numerics: str | None
) -> tuple[Bundle, Runtime, BundleArtifact]:
    """The bundle, which must be of that kind, with the runtime and the artifact to use."""
    opened = opened_bundle(bundle)
    if opened.kind != kind:
        instead = "use edgewright generate" if opened.kind == "generation" else "give another bundle"
        raise UsageError(f"{opened.path}: a bundle of kind '{opened.kind}', not '{kind}'; {instead}")
    chosen = _runtime(opened, runtime)
    return opened, chosen, opened.artifact(chosen, numerics)


def opened_bundle(bundle: str | Path | Bundle) -> Bundle:
    return bundle if isinstance(bundle, Bundle) else bundles.read(bundles.find(bundle))


def _runtime(bundle: Bundle, asked: str | None) -> Runtime:
    if asked is not None:
        for runtime in RUNTIMES:
            if runtime == asked and runtime != "pytorch":
                return runtime
        raise UsageError(f"unknown runtime '{asked}'; one of {', '.join(PREFERENCE)}")
    have = {artifact.target for artifact in bundle.artifacts}
    for runtime in PREFERENCE:
        if runtime in have and importlib.util.find_spec(LIBRARY[runtime]) is not None:
            return runtime
    raise MissingExtraError(
        f"{bundle.path}: no runtime is installed for its artifacts: pip install 'edgewright[litert]'"
        f" (or one of {', '.join(sorted(have))})"
    )
