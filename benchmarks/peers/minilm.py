"""MiniLM, fine-tuned on the task, as an int8 file for ONNX Runtime: the usual "small" Transformer on a server.

torch.onnx.export, then ONNX Runtime's own dynamic quantization with its default settings; texts through the encoder's
own tokenizer, without padding.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from edgewright.benchmarks.peers import LABELS, read_labels
from edgewright.data.files import write_json
from edgewright.errors import DamagedFileError

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"


class MiniLMPeer:
    """The session and the tokenizer."""

    def __init__(self, session: onnxruntime.InferenceSession, words: Tokenizer) -> None:
        self._session = session
        self._words = words

    def labels(self, texts: Sequence[str]) -> np.ndarray:
        # one by one: with others in the batch the scale of the 8-bit activations, and so the answer, would change
        return np.array([self.label(text) for text in texts], np.int64)

    def label(self, text: str) -> int:
        ids = np.array([self._words.encode(text).ids], np.int64)
        return int(self._session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0].argmax())


def export(trained: Path, names: Sequence[str], folder: Path) -> None:
    """Fill `folder` with the quantized file, the tokenizer and the labels; `trained` is minilm_training's folder."""
    # only here: a prediction needs neither torch nor transformers
    import onnx
    import torch
    from onnxruntime.quantization import quantize_dynamic

    from edgewright.benchmarks.peers import minilm_training

    model = minilm_training.read(trained, len(names))
    words = minilm_training.tokenizer()
    example = minilm_training.pad([words.encode("an example").ids, words.encode("another example").ids])
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "float.onnx"
        torch.onnx.export(
            model,
            example,
            str(whole),
            input_names=["ids", "mask"],
            output_names=["logits"],
            dynamic_shapes={"ids": {0: batch, 1: length}, "mask": {0: batch, 1: length}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        graph = onnx.load(str(whole))
        # the exporter notes the shapes of the weights; the quantizer turns some over and then stops at its own check
        del graph.graph.value_info[:]
        quantize_dynamic(graph, str(folder / MODEL))
    words.save(str(folder / TOKENIZER), pretty=False)
    write_json(folder / LABELS, list(names))


def load(folder: Path, threads: int = 1) -> MiniLMPeer:
    """What `export` left."""
    read_labels(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(
            str(folder / MODEL), sess_options=options, providers=["CPUExecutionProvider"]
        )
        return MiniLMPeer(session, Tokenizer.from_file(str(folder / TOKENIZER)))
    except Exception as error:  # ONNX Runtime and tokenizers raise classes of their own, and plain Exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DamagedFileError(f"{folder}: no stored MiniLM ({reason}); make it anew") from error
