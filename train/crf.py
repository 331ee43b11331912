"""The loss of a linear-chain conditional random field over a tagger's scores.

Source: Lafferty et al. 2001; Lample et al. 2016, https://arxiv.org/abs/1603.01360, section 2.2. The best path is found
outside of the graph by data/viterbi.py, which reads the same three parameters.
Shapes: B batch, T words, C tags.
"""

import torch
from torch import Tensor


def negative_log_likelihood(
    scores: Tensor, labels: Tensor, transitions: Tensor, first: Tensor, last: Tensor, ignored: int
) -> Tensor:
    """The mean over the words of -log p(labels | scores).

    Args:
        scores: (B, T, C). labels: (B, T) int64, `ignored` at the padding behind each text; every text has a word.
        transitions: (C, C), from the row's tag to the column's. first, last: (C,).
    """
    real = labels != ignored
    tags = labels.clamp(min=0)
    counts = real.sum(dim=1)
    picked = scores.gather(2, tags.unsqueeze(2)).squeeze(2)  # (B, T)
    steps = transitions[tags[:, :-1], tags[:, 1:]]  # (B, T - 1)
    ends = tags.gather(1, (counts - 1).unsqueeze(1)).squeeze(1)  # (B,)
    path = (picked * real).sum(dim=1) + (steps * real[:, 1:]).sum(dim=1) + first[tags[:, 0]] + last[ends]

    total = first + scores[:, 0]  # (B, C): log of the summed weight of all paths that end in a tag
    for t in range(1, scores.shape[1]):
        longer = torch.logsumexp(total.unsqueeze(2) + transitions, dim=1) + scores[:, t]
        total = torch.where(real[:, t].unsqueeze(1), longer, total)
    everything = torch.logsumexp(total + last, dim=1)
    return (everything - path).sum() / counts.sum()
