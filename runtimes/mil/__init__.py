"""A reference interpreter of Core ML's ML Programs, in NumPy, on any operating system.

It follows the semantics that coremltools documents for each operator. It shows that a package computes what PyTorch
computes, by the definition of MIL; it is not Apple's runtime: it does not say what the CPU, GPU or Neural Engine of a
device will compute, nor that Core ML's compiler accepts the package.

    schema.py       the protobuf messages, without the rest of coremltools
    weights.py      numbers: records of weight.bin, values inside model.mlmodel, bit-packed integers
    loading.py      a package -> a Program; whatever does not fit together is a DamagedFileError
    program.py      runs it: blocks, states, loops and branches; rounds to float16 where asked
    operators.py    the table: name of a MIL operator -> function
    elementwise.py, reductions.py, shapes.py, indexing.py, layers.py, windows.py, recurrent.py, compressed.py
                    the functions; parameters are named as MIL's inputs, so that a parameter which a function does not
                    know is found when the program is read, not ignored

To add an operator, write a function with MIL's parameter names and defaults, and add it to its file's OPERATORS.
Sources: coremltools' converters/mil/mil/ops/defs (semantics), mlmodel/format/MIL.proto (program), and
mlmodel/src/MILBlob/Blob/StorageFormat.hpp (weight.bin).
"""
