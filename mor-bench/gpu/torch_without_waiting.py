"""The PyTorch program to compare with, but its training steps follow each other without waiting for the GPU between them, and their mean is printed.

  torch_without_waiting.py BASELINE.py train:360m:0:16:2048:c ...     BASELINE.py is the program that waits after each; the rest are its own arguments
"""
import importlib.util
import sys
import time

import torch

spec = importlib.util.spec_from_file_location("baseline", sys.argv[1])
baseline = importlib.util.module_from_spec(spec)
sys.modules["baseline"] = baseline  # the compiler of PyTorch looks names up there
spec.loader.exec_module(baseline)

WARM_UP = 4
STEPS = 30


def train(size, recursions, batch, context):
    torch.manual_seed(0)
    config = baseline.CFG[size]
    model = baseline.Model(config, recursions).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), fused=True)
    compiled = torch.compile(model)
    tokens, targets = (torch.randint(config["V"], (batch, context), device="cuda") for _ in range(2))
    torch.cuda.reset_peak_memory_stats()
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            torch.cuda.synchronize()
            begun = time.time()
        with torch.autocast("cuda", torch.bfloat16):
            loss = compiled(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    seconds = (time.time() - begun) / STEPS
    print(f"TRAIN {size} nr={recursions} B={batch} T={context}, {STEPS} steps without waiting: {batch * context / seconds:,.0f} tok/s  "
          f"step {seconds * 1e3:.1f} ms  peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)


for work in sys.argv[2:]:
    _, size, recursions, batch, context, _ = work.split(":")
    train(size, int(recursions), int(batch), int(context))
    torch.cuda.empty_cache()
    torch._dynamo.reset()
