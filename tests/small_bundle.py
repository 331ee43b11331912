"""A bundle around one artifact or a few, for tests of what reads and times bundles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.export import bundle
from edgewright.export.artifact import Artifact
from edgewright.models.methods import Method

CLASSIFIES = {"decoding": "argmax", "temperature": 1.0, "threshold": None, "windows": "mean_logits"}


def write(
    folder: Path,
    shipped: Sequence[Artifact],
    methods: Sequence[Method],
    labels: Sequence[str],
    kind: str = "single_label",
    postprocess: dict[str, Any] = CLASSIFIES,
) -> Path:
    """`folder`/bundle, of reference.safetensors and, where it is there, tokenizer.json in `folder`."""
    tokenizer = folder / "tokenizer.json"
    content = bundle.Content(
        name="small",
        description="",
        task={"name": "small", "kind": kind, "labels": list(labels), "reject_label": None},
        methods=methods,
        postprocess=postprocess,
        data={
            **{"source": "none", "fingerprint": "none", "licence": "MIT", "tier": "generated"},
            **{"redistributable": True, "generated": True},
        },
        seeds=[],
        versions={},
        gates=[],
        measurements=[],
        tokenizer=tokenizer if tokenizer.exists() else None,
        reference=folder / "reference.safetensors",
        golden=[],
        shipped=[bundle.Shipped(artifact, 0.0) for artifact in shipped],
    )
    bundle.write(content, folder / "bundle")
    return folder / "bundle"
