"""A model on disk: one safetensors file, whose header names the family and its config. No pickle."""

import dataclasses
import json
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from edgewright.data.files import write_atomically
from edgewright.errors import DamagedFileError
from edgewright.models import MODELS

FORMAT = "edgewright-model-1"


def save_model(model: nn.Module, family: str, path: Path) -> None:
    """Write the weights and the config; the same model gives the same bytes."""
    assert isinstance(model, MODELS[family].module), f"{type(model).__name__} is not of the family {family}"
    metadata = {"format": FORMAT, "family": family, "config": json.dumps(dataclasses.asdict(model.config))}  # type: ignore[arg-type]
    tensors = {name: value.detach().to("cpu").contiguous() for name, value in model.state_dict().items()}
    write_atomically(path, lambda scratch: save_file(tensors, scratch, metadata))


def load_model(path: Path) -> nn.Module:
    """The model in evaluation mode.

    Raises:
        DamagedFileError: the file is missing, truncated, of another kind, or its tensors do not fit its config.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError as error:
        raise DamagedFileError(f"{path}: no such checkpoint") from error
    except (SafetensorError, OSError) as error:
        raise DamagedFileError(f"{path}: no whole safetensors file ({error}); get or train it anew") from error
    if metadata.get("format") != FORMAT or metadata.get("family") not in MODELS:
        known = ", ".join(MODELS)
        raise DamagedFileError(
            f"{path}: format {metadata.get('format')!r}, family {metadata.get('family')!r}: this edgewright reads "
            f"{FORMAT} of {known}"
        )
    family = MODELS[metadata["family"]]
    try:
        config = TypeAdapter(family.config).validate_json(metadata["config"])
        with torch.device("meta"):  # no time is spent on random weights that are replaced at once
            model: nn.Module = family.module(config)
        model.load_state_dict(tensors, assign=True)
    except (KeyError, ValidationError, RuntimeError, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DamagedFileError(f"{path}: its tensors do not fit its config ({reason[:200]}); get it anew") from error
    return model.eval()
