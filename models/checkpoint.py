"""A model on disk: one safetensors file, whose header names the family and its config. No pickle."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edgewright.data.files import write_bytes
from edgewright.errors import DamagedFileError
from edgewright.models import MODELS

FORMAT = "edgewright-model-1"
# the one entry of the header: safetensors writes several in any order, and the same model would give other bytes
HEADER = "edgewright"


def save_model(model: nn.Module, family: str, path: Path) -> None:
    """Write the weights and the config; the same model gives the same bytes."""
    assert isinstance(model, MODELS[family].module), f"{type(model).__name__} is not of the family {family}"
    config: Any = model.config
    described = {"format": FORMAT, "family": family, "config": dataclasses.asdict(config)}
    tensors = {name: value.detach().to("cpu").contiguous() for name, value in model.state_dict().items()}
    header = json.dumps({**described, "sha256": _digest(described, tensors)})
    write_bytes(path, save(tensors, {HEADER: header}))


def load_model(path: Path) -> nn.Module:
    """The model in evaluation mode.

    Raises:
        DamagedFileError: the file is missing, truncated, changed, of another kind or of an unknown family.
    """
    if not path.is_file():
        raise DamagedFileError(f"{path}: no such checkpoint; train the model first")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        header = json.loads(metadata.get(HEADER, "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DamagedFileError(f"{path}: no whole checkpoint ({reason}); get or train it anew") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT or header.get("family") not in MODELS:
        found = ", ".join(f"{key} {dict(header).get(key)!r}" for key in ("format", "family"))
        known = ", ".join(MODELS)
        raise DamagedFileError(f"{path}: {found}; this edgewright reads {FORMAT} of {known}")
    digest = header.pop("sha256", None)
    if digest != _digest(header, tensors):
        raise DamagedFileError(f"{path}: changed since it was written; get or train it anew")
    family = MODELS[header["family"]]
    try:
        config = TypeAdapter(family.config).validate_python(_known(header["config"], family.config))
        with torch.device("meta"):  # no time is spent on random weights that are replaced at once
            model: nn.Module = family.module(config)
        model.load_state_dict(tensors, assign=True)
    except (ValidationError, RuntimeError, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DamagedFileError(
            f"{path}: its tensors do not fit the {header['family']} of this edgewright ({reason[:200]}); train it anew"
        ) from error
    return model.eval()


def _digest(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the description and all tensors: a file that was changed is not taken for a model."""
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def _known(values: dict[str, Any], config: type[Any]) -> dict[str, Any]:
    unknown = values.keys() - {field.name for field in dataclasses.fields(config)}
    if unknown:
        raise ValueError(f"it has no setting {', '.join(sorted(unknown))}")
    return values
