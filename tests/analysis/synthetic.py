"""Tables of a study, made up for tests: as of `ablate.analysis.frames`, with numbers that are known beforehand."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from PIL import Image

from ablate.analysis.frames import Frames
from ablate.analysis.scores import CellScores

Tables = Frames

TRIVIAL = {"all_foreground": 0.534, "mean_mask": 0.471, "all_background": 0.0}


def trial(cell: str, dice: float, params: float, *, seed: int = 0, state: str = "complete", **columns: object) -> dict:
    """A row of `trials`; unless given, MACs are 400 a parameter, and IoU and MIoU follow from Dice."""
    failed = state == "failed"
    iou = dice / (2 - dice)
    row = {
        "key": f"{cell}-{seed}",
        "cell": cell,
        "space": "" if state == "trivial" else "synthetic",
        "data": "slices",
        "model": "unet",
        "seed": seed,
        "state": state,
        "params": params,
        "macs": params * 400,
        "latency_ms": np.nan,
        "peak_memory_mb": np.nan,
        "best_epoch": 5,
        "epochs": 6,
        "train_seconds": 30.0 + params / 1e6,
        "dice": np.nan if failed else dice,
        "iou": np.nan if failed else iou,
        "miou": np.nan if failed else (iou + 0.9) / 2,
        "val_dice": np.nan if failed else dice,
        "val_iou": np.nan if failed else iou,
        "val_miou": np.nan if failed else (iou + 0.9) / 2,
        "error": "loss became NaN in epoch 3" if failed else None,
        "label": cell,
        "configuration": f"{cell} width=32 stages=5",
    }
    return row | columns


def trivial() -> list[dict]:
    return [
        trial(f"cell-{name}", dice, 0, state="trivial", model=name, label=name.replace("_", " "))
        for name, dice in TRIVIAL.items()
    ]


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def study(label: str = "levels=4") -> Tables:
    """Seven networks of several families with three seeds each, a failed seed, a failed cell, and the trivial rows."""
    networks = [
        ("a1", "unet", "unet", 7.77e6, 3.03e9, 0.842),
        ("b2", "unet_plus_plus", "unet++", 9.16e6, 8.66e9, 0.846),
        ("c3", "attention_unet", "attention", 34.88e6, 16.66e9, 0.851),
        ("d4", "resnet34_unet", "resnet34", 21.66e6, 1.52e9, 0.836),
        ("e5", "pyconvunet", label, 5.38e6, 2.06e9, 0.839),
        ("f6", "pyconvunet", "levels=3", 6.10e6, 2.35e9, 0.835),
        ("g7", "pyconvunet", "levels=2", 6.68e6, 2.59e9, 0.838),
    ]
    random = np.random.default_rng(0)
    rows, epochs, images = [], [], []
    for cell, model, name, params, macs, dice in networks:
        for seed in range(3):
            configuration = (
                f"{model} width=32 stages=5 kernels=3,5,7,9 groups=1,4,8,16 share=pyramid block=plain {name}"
            )
            state = "failed" if (cell, seed) == ("d4", 2) else "complete"
            row = trial(
                cell,
                dice + random.normal(0, 0.004),
                params,
                seed=seed,
                state=state,
                macs=macs,
                model=model,
                label=name,
                configuration=configuration,
            )
            rows.append({**row, "factor.levels": name.removeprefix("levels=") if "=" in name else None})
            speed = random.uniform(3, 6)
            for epoch in range(1, 13):
                progress = 1 - np.exp(-epoch / speed)
                epochs.append(
                    {
                        "key": row["key"],
                        "epoch": epoch,
                        "train_loss": 0.65 - 0.5 * progress + random.normal(0, 0.008),
                        "val_loss": 0.66 - 0.45 * progress + random.normal(0, 0.01),
                        "val_dice": dice * progress + random.normal(0, 0.008),
                        "val_iou": dice * progress * 0.8,
                        "val_miou": (dice * progress + 0.8) / 2 + random.normal(0, 0.006),
                        "seconds": 5.0,
                        "images_per_second": 40.0,
                    }
                )
            images.append({"key": row["key"], "image": "0", "class": 1, "tp": 50, "fp": 5, "fn": 5, "tn": 40})
    broken = trial("h8", 0, 1e6, state="failed", model="fcn8s", label="fcn8s", error="out of memory: <8 GB> & no swap")
    return Tables(pd.DataFrame([*rows, broken, *trivial()]), pd.DataFrame(epochs), pd.DataFrame(images))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def disc(height: int, width: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def measured(tables: Tables, device: str = "cpu (test, 1 thread)") -> Tables:
    """The same study once latency and memory were measured: cells with many MACs are the quick ones."""
    trained = tables.trials["state"] != "trivial"
    macs = tables.trials["macs"]
    return tables._replace(
        trials=tables.trials.assign(
            latency_ms=(1e12 / macs.where(trained)) ** 0.5,
            peak_memory_mb=tables.trials["params"].where(trained) / 1e5,
            latency_device=np.where(trained, device, None),
            latency_input=np.where(trained, "1x96x96", None),
        )
    )


def scored(
    networks: dict[str, tuple[float, np.ndarray]], images: dict[str, tuple[str, ...]] | None = None
) -> tuple[pd.DataFrame, dict[str, CellScores]]:
    """A trial table and scores of cells by name, each of `params` and a Dice matrix (seeds, images)."""
    rows, scores = [], {}
    for name, (params, values) in networks.items():
        rows += [trial(name, float(np.nanmean(one)), params, seed=seed) for seed, one in enumerate(values)]
        ids = (images or {}).get(name) or tuple(f"{at:03d}" for at in range(values.shape[1]))
        scores[name] = CellScores(name, name, "unet", "slices", False, tuple(range(len(values))), ids, values)
    return table(*rows), scores
