"""Which pictures are shown when: a pure function of (seed, position), with nothing to save or restore.

A position counts all pictures ever shown, over all ranks. An epoch is one seeded permutation of the pack; batches run
on across its end, so nothing is dropped. Mirroring and random cuts are drawn for a whole batch at the position where
it starts, before ranks take their slices: the number of ranks does not change what is shown.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch

from ganlet.data.spec import Pack
from ganlet.randomness import numpy_generator

UPLOAD_BYTES = 2**28
SHARE_OF_FREE_MEMORY = 0.5


class Feed:
    """Batches of uint8 pictures on a device.

    `size` is the (H, W) that is shown; with `random_crop` the pack is larger. On a GPU all pictures are kept in its
    memory when they fit into half of what is free there, else each batch is sent over.
    """

    def __init__(
        self,
        pack: Pack,
        *,
        size: tuple[int, int],
        seed: int,
        flip: bool = False,
        random_crop: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        assert random_crop or pack.pictures.shape[1:3] == tuple(size)
        self.num_pictures = len(pack)
        self.size = size
        self.seed = seed
        self.flip = flip
        self.random_crop = random_crop
        self.device = torch.device(device)
        self._pictures = _stored(pack.pictures, self.device)
        # Every window of every picture, as a view: (N, tops, lefts, C, H, W).
        self._windows = self._pictures.unfold(1, size[0], 1).unfold(2, size[1], 1)
        self._epoch = -1
        self._permutation = np.empty(0, np.int64)

    def indices(self, position: int, count: int) -> np.ndarray:
        """Which pictures of the pack are at positions `position` to `position + count - 1`: int64 (count,)."""
        parts = []
        while count:
            epoch, start = divmod(position, self.num_pictures)
            part = self._order(epoch)[start : start + count]
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return np.concatenate(parts)

    def images(self, position: int, count: int, rank: int = 0, world: int = 1) -> torch.Tensor:
        """This rank's slice of the batch of `count` pictures at `position`: uint8 (count // world, H, W, C)."""
        assert count % world == 0, (count, world)
        share = slice(rank * count // world, (rank + 1) * count // world)
        chosen = self._index(self.indices(position, count)[share])
        if self.random_crop:
            draws = numpy_generator(self.seed, "crop", clock=position)
            tops, lefts = (draws.integers(self._windows.shape[axis], size=count)[share] for axis in (1, 2))
            batch = self._windows[chosen, self._index(tops), self._index(lefts)].permute(0, 2, 3, 1)
        else:
            batch = self._pictures.index_select(0, chosen)
        if self.flip:
            drawn = numpy_generator(self.seed, "flip", clock=position).random(count) < 0.5
            mirrored = self._index(np.flatnonzero(drawn[share]))
            batch[mirrored] = batch[mirrored].flip(2)
        batch = batch.contiguous()
        if batch.device.type != self.device.type:
            batch = batch.pin_memory() if self.device.type == "cuda" else batch
            batch = batch.to(self.device, non_blocking=True)
        return batch

    def _order(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            self._epoch = epoch
            self._permutation = numpy_generator(self.seed, "order", epoch).permutation(self.num_pictures)
        return self._permutation

    def _index(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self._pictures.device)


def _stored(pictures: np.ndarray, device: torch.device) -> torch.Tensor:
    """The pictures on the device if there is room for them, else as they are mapped from disk."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nor does anyone write
        mapped = torch.from_numpy(np.asarray(pictures))
    if device.type != "cuda" or pictures.nbytes > SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0]:
        return mapped
    stored = torch.empty(mapped.shape, dtype=torch.uint8, device=device)
    step = max(1, UPLOAD_BYTES // int(np.prod(pictures.shape[1:])))
    for start in range(0, len(mapped), step):
        stored[start : start + step] = mapped[start : start + step].to(device)
    return stored
