"""Runs inside the old environment (NumPy 1, tflite-runtime), which has no edgewright: a script with JSON as its answer.

    python old_tflite_worker.py MODEL.tflite INPUTS.npz OUTPUTS.npz

INPUTS holds an (N, length, ...) array for each signature, under the signature's name; OUTPUTS gets the (N, C) answers
under the same names. Printed is one line of JSON: versions, how far it came, and the first line of the error that
stopped it.
"""

import importlib
import json
import platform
import re
import sys
from importlib import metadata


def main(model: str, inputs: str, outputs: str) -> dict[str, object]:
    """What is printed."""
    answer: dict[str, object] = {
        "python": platform.python_version(),
        "tflite-runtime": metadata.version("tflite-runtime"),
        "numpy": metadata.version("numpy"),
        "imports": False,
        "loads": False,
        "runs": False,
        "error": None,
    }
    try:
        runtime = importlib.import_module("tflite_runtime.interpreter")
        answer["imports"] = True
        interpreter = runtime.Interpreter(model_path=model, num_threads=1)
        interpreter.allocate_tensors()
        answer["loads"] = True
        _run(interpreter, inputs, outputs)
        answer["runs"] = True
    except Exception as error:  # whatever the old runtime raises is what is asked for
        answer["error"] = _described(error)
    return answer


def _described(error: BaseException) -> str:
    """One line: the error and, where there is one, what it began with; without addresses, which differ each time."""
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    said = []
    for one in (chain[0], chain[-1]):
        lines = str(one).strip().splitlines()
        said.append(re.sub(r" at 0x[0-9a-f]+", "", f"{type(one).__name__}: {lines[0] if lines else ''}".rstrip(": ")))
    return said[0] if len(chain) == 1 else f"{said[0]}; first was {said[1]}"


def _run(interpreter: object, inputs: str, outputs: str) -> None:
    numpy = importlib.import_module("numpy")
    answers = {}
    with numpy.load(inputs, allow_pickle=False) as arrays:
        for signature in arrays.files:
            call = interpreter.get_signature_runner(signature)  # type: ignore[attr-defined]  # there are no types of it
            (name,) = call.get_input_details()
            rows = [next(iter(call(**{name: row[None]}).values()))[0] for row in arrays[signature]]
            answers[signature] = numpy.stack(rows)
    numpy.savez(outputs, **answers)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
