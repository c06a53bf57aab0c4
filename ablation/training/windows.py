"""Whole images, predicted window by window: where training draws patches (`data.fit`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.data.fit import at_least
from ablate.training.devices import autocast

if TYPE_CHECKING:
    from ablate.trial import TrialConfig


@torch.no_grad()
def window_logits(model: nn.Module, image: NDArray[np.float32], trial: TrialConfig, device: torch.device) -> Tensor:
    """Logits (1, C, h, w) float32 of a whole image (channels, h, w), of any size.

    Windows of `data.size` that overlap by `protocol.window_overlap` are predicted, and averaged with a Gaussian weight
    that is greatest at their middles (MONAI's `sliding_window_inference`, as in nnU-Net).
    """
    from monai.inferers import sliding_window_inference

    model.eval()
    size, protocol = trial.data.size, trial.protocol
    wide, box = at_least(image, size)

    def of_windows(windows: Tensor) -> Tensor:
        with autocast(device):
            logits: Tensor = model(windows.contiguous(memory_format=torch.channels_last))
        return logits.float()

    whole = torch.tensor(np.ascontiguousarray(wide))[None].to(device)
    found = sliding_window_inference(
        whole, size, protocol.batch_size, of_windows, overlap=protocol.window_overlap, mode="gaussian"
    )
    assert isinstance(found, Tensor)
    return found[:, :, *box.within]
