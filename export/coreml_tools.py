"""coremltools, imported without its noise: the exporter's other files take it from here.

It and torchao, which it imports, log a dozen lines on every machine that is not a Mac with CUDA.
"""

import logging

_before = logging.root.manager.disable
logging.disable(logging.WARNING)
try:
    import coremltools
    from coremltools.converters.mil import Builder, register_torch_op
    from coremltools.converters.mil.frontend.torch.ops import _get_inputs as operator_inputs
    from coremltools.converters.mil.mil import Program
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
    from coremltools.converters.mil.mil.scope import ScopeInfo, ScopeSource
    from coremltools.converters.mil.mil.types import np_int4_dtype, np_uint1_dtype, np_uint4_dtype, np_uint6_dtype
finally:
    logging.disable(_before)

__all__ = [
    "PASS_REGISTRY",
    "Builder",
    "Program",
    "ScopeInfo",
    "ScopeSource",
    "coremltools",
    "np_int4_dtype",
    "np_uint1_dtype",
    "np_uint4_dtype",
    "np_uint6_dtype",
    "operator_inputs",
    "register_torch_op",
]
