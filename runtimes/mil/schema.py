"""The protobuf messages of Core ML's model format, without the rest of coremltools.

`import coremltools` imports torch and scikit-learn and takes 7 to 10 s; the generated messages that it carries need
none of that (0.03 s). They import each other by relative imports only, so they also work as a package of another
name. Where coremltools is imported as well, before or after, protobuf hands out the same message classes.
"""

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

_ALIAS = "edgewright_coreml_messages"


def _messages(name: str) -> Any:
    if _ALIAS not in sys.modules:
        found = importlib.util.find_spec("coremltools")  # finds, does not import
        if found is None or not found.submodule_search_locations:
            raise ModuleNotFoundError("No module named 'coremltools'", name="coremltools")
        package = types.ModuleType(_ALIAS)
        package.__path__ = [str(Path(found.submodule_search_locations[0]) / "proto")]
        sys.modules[_ALIAS] = package
    return importlib.import_module(f"{_ALIAS}.{name}")


Model: Any = _messages("Model_pb2").Model
DataType: Any = _messages("MIL_pb2").DataType
DecodeError: Any = importlib.import_module("google.protobuf.message").DecodeError
ArrayType: Any = _messages("FeatureTypes_pb2").ArrayFeatureType
