"""The learning rate over the steps of a training."""

import math


def rate(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate at a step: linear up over the share `warmup` of all steps, then half a cosine to 0."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))
