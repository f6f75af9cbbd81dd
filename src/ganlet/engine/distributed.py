"""Several processes, one run: started by `torchrun`, gradients averaged by hand.

No wrapper around the networks: one all-reduce after each backward pass is all that is needed, and it leaves double
backward, the alternation of two networks, and graph capture alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

# Ranks wait for the first one while it saves, measures and looks. The features of many real pictures can take an hour
# on a CPU; of a process that has died torchrun tells the others at once.
TIMEOUT = timedelta(hours=3)


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of a run."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: list[torch.Tensor]) -> None:
        """Replace each tensor by its mean over all ranks, in one all-reduce."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.world
        offset = 0
        for tensor in tensors:
            tensor.copy_(flat[offset : offset + tensor.numel()].view(tensor.shape))
            offset += tensor.numel()

    def any(self, flag: int) -> int:
        """The largest `flag` of all ranks: a signal that reached one of them reaches all."""
        if self.world == 1:
            return flag
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        shared = torch.tensor(flag, device=device)
        distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
        return int(shared.item())

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.world > 1:
            distributed.barrier()


ALONE = Ranks()


def world_size() -> int:
    """How many processes `torchrun` has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def ranks(device: str) -> Iterator[Ranks]:
    """The ranks of this run, from the environment that `torchrun` sets; one rank without it."""
    if world_size() == 1:
        yield ALONE
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
