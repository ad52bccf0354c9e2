"""The PyTorch program to compare with, but with a cross-entropy that never holds all logits: 4,096 rows at a time, computed again in the backward pass.

  torch_chunked_loss.py BASELINE.py train:360m:0:16:2048:c ...     BASELINE.py is the program whose loss holds them; the rest are its own arguments
"""
import importlib.util
import sys

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

spec = importlib.util.spec_from_file_location("baseline", sys.argv[1])
baseline = importlib.util.module_from_spec(spec)
sys.modules["baseline"] = baseline  # the compiler of PyTorch looks names up there
spec.loader.exec_module(baseline)


def loss_of_rows(rows, head, targets):
    return F.cross_entropy(F.linear(rows, head).float(), targets, reduction="sum")


class ChunkedLossModel(baseline.Model):
    def forward(self, tokens, targets):
        positions = torch.arange(tokens.shape[1], device=tokens.device)[None].expand(tokens.shape[0], -1)
        x, auxiliary = self.trunk(self.e(tokens), positions)
        rows, targets = self.n(x).flatten(0, 1), targets.flatten()
        total = 0.0
        for r, t in zip(rows.split(4096), targets.split(4096)):
            total = total + checkpoint(loss_of_rows, r, self.e.weight, t, use_reentrant=False)
        return total / targets.numel() + 0.001 * auxiliary


baseline.Model = ChunkedLossModel
print(torch.__version__, torch.cuda.get_device_name(0), "cross-entropy in chunks of 4096 rows", flush=True)
for work in sys.argv[2:]:
    _, size, recursions, batch, context, mode = work.split(":")
    baseline.train(size, int(recursions), int(batch), int(context), mode == "c")
    torch.cuda.empty_cache()
    torch._dynamo.reset()
