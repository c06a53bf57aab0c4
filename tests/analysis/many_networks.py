"""Tables of a study of many networks, made up for tests: sampled factors, hostile names, curves and single images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from synthetic import Tables, trivial

from ablate.analysis.format import level_label
from ablate.analysis.frames import scores_by_trial

MARKUP = """<img src=x onerror="document.title='taken'">&'\""""
LONG = "x" * 200
KERNELS = ("3", "3,5", "3,5,7", MARKUP, LONG)
"""Levels of a factor: names that would be taken for markup, and one of 200 characters."""
_PIXELS = 10_000


def many(networks: int = 150, seeds: int = 3, images: int = 12, epochs: int = 20, task: str = "slices") -> Tables:
    """Networks whose score grows with the logarithm of their cost; `seeds` trials each, and the trivial rows."""
    rng = np.random.default_rng(0)
    cells = [f"{task[:2]}{at:010x}" for at in range(networks)]
    params = np.exp(rng.uniform(np.log(1e5), np.log(4e7), networks)).round()
    quality = 0.65 + 0.06 * np.log10(params / 1e5) + rng.normal(0, 0.02, networks)
    levels = [
        {
            "network": ("unet", "pyconvunet")[at % 2],
            "kernels": KERNELS[at % len(KERNELS)],
            "model.width": str(8 * (1 + at % 12)),
            "optimizer.lr": f"{10 ** rng.uniform(-4, -2):.3g}",
        }
        for at in range(networks)
    ]
    rows = []
    for at, cell in enumerate(cells):
        for seed in range(seeds):
            rows.append({
                "key": f"{cell}-{seed}", "cell": cell, "space": "synthetic", "data": task,
                **{f"factor.{name}": level for name, level in levels[at].items()},
                "model": levels[at]["network"], "seed": seed, "state": "complete", "params": params[at],
                "macs": float(round(params[at] * np.exp(rng.normal(6, 0.7)))) if seed == 0 else rows[-1]["macs"],
                "latency_ms": 3 + params[at] ** 0.5 / 200, "latency_device": "cpu (made up)",
                "latency_input": "1x96x96",
                "peak_memory_mb": 40 + params[at] / 1e5, "best_epoch": epochs, "epochs": epochs, "train_seconds": 60.0,
                "val_dice": quality[at], "val_iou": quality[at], "val_miou": quality[at], "error": None,
                "label": level_label(levels[at]), "configuration": level_label(levels[at]),
            })  # fmt: skip
    keys, fixed = [row["key"] for row in rows], [row | {"data": task} for row in trivial()]
    of = np.repeat(np.arange(networks), seeds)
    noise = rng.normal(0, 0.05, images) + rng.normal(0, 0.01, (len(of), 1)) + rng.normal(0, 0.02, (len(of), images))
    poor = _images([row["key"] for row in fixed], np.full((len(fixed), images), 0.3))
    scored = pd.concat([_images(keys, quality[of, None] + noise), poor])
    table = pd.concat([pd.DataFrame(rows), pd.DataFrame(fixed)], ignore_index=True)
    table = table.drop(columns=["dice", "iou", "miou"])
    table = table.merge(scores_by_trial(scored), how="left", left_on="key", right_index=True)
    rise = quality[of, None] * (1 - np.exp(-np.arange(1, epochs + 1) / rng.uniform(2, 9, (len(of), 1))))
    curves = pd.DataFrame({"key": np.repeat(keys, epochs), "epoch": np.tile(np.arange(1, epochs + 1), len(of))})
    curves = curves.assign(train_loss=0.3, val_loss=0.3, seconds=1.0, images_per_second=10.0)
    curves = curves.assign(**{f"val_{name}": rise.ravel() for name in ("dice", "iou", "miou")})
    return Tables(table, curves, scored)


def _images(keys: list[str], dice: np.ndarray) -> pd.DataFrame:
    """Confusion counts of these Dice scores, (trials, images), of the foreground and the background."""
    images = dice.shape[1]
    hits = (np.clip(dice, 0.02, 0.99) * 4000).astype(np.int64).ravel()
    front = pd.DataFrame(
        {"key": np.repeat(keys, images), "image": np.tile([f"z{at:03d}" for at in range(images)], len(keys))}
    )
    front = front.assign(**{"class": 1, "tp": hits, "fp": 4000 - hits, "fn": 4000 - hits, "tn": _PIXELS - 8000 + hits})
    return pd.concat([front, front.assign(**{"class": 0, "tp": front["tn"], "tn": front["tp"]})], ignore_index=True)
