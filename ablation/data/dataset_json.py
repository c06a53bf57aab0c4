"""The `dataset.json` that nnU-Net and the Medical Segmentation Decathlon keep beside their files.

Both name channels (`channel_names`, `modality`) and labels, nnU-Net v2 as `{"liver": 1}`, the Decathlon and nnU-Net v1
as `{"1": "liver"}`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ablate.errors import InputError, brief
from ablate.files import read_regular

FILE = "dataset.json"
_MOST_BYTES = 100_000_000
_IGNORE = "ignore"
_BACKGROUND = "background"


def read_json(root: Path) -> dict[str, Any]:
    """The content of `root`'s dataset.json. Raises `InputError` where it is missing, or no JSON object."""
    file = root / FILE
    try:
        found = file.resolve(strict=True)
        if found.stat().st_size > _MOST_BYTES:
            raise InputError(f"'{file}' is larger than {_MOST_BYTES:,} bytes")
        content = json.loads(read_regular(found).decode("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"'{file}' is missing: it names the channels, the labels and the files") from None
    except json.JSONDecodeError as error:
        raise InputError(f"'{file}', line {error.lineno}: this is no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{file}' is no JSON text in UTF-8") from None
    except (OSError, RuntimeError) as error:
        raise InputError(f"'{file}' cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(content, dict):
        raise InputError(f"'{file}': expected an object with channels and labels, not {brief(content)}")
    return content


def described(root: Path) -> dict[str, Any]:
    """The settings that it says: `channels`, `labels` with names, and what is ignored.

    Raises `InputError` for what is not labels with one value each, such as nnU-Net's regions.
    """
    content, file = read_json(root), root / FILE
    labels = _labels(content.get("labels"), file)
    found: dict[str, Any] = {"channels": len(channel_names(content, file))}
    for name in [name for name in labels if name.lower() == _IGNORE]:
        found["ignore"] = [labels.pop(name)]
    return found | {"labels": dict(sorted(labels.items(), key=lambda one: one[1]))}


def channel_names(content: dict[str, Any], file: Path) -> list[str]:
    """Of `channel_names` or `modality`, in their numbers' order. Raises `InputError` where they are not numbered so."""
    names = content.get("channel_names", content.get("modality"))
    if not isinstance(names, dict) or not names or set(names) != {str(n) for n in range(len(names))}:
        raise InputError(
            f'\'{file}\': expected channel_names {{"0": "CT", "1": …}}, or modality, counted from 0, not {brief(names)}'
        )
    return [str(names[str(n)]) for n in range(len(names))]


def _labels(labels: Any, file: Path) -> dict[str, int]:
    """By name."""
    if not isinstance(labels, dict) or len(labels) < 2:
        raise InputError(f'\'{file}\': expected labels {{"background": 0, "liver": 1, …}}, not {brief(labels)}')
    if all(key.isdecimal() and isinstance(name, str) for key, name in labels.items()):
        pairs = [(name, int(key)) for key, name in labels.items()]
        if len(dict(pairs)) < len(pairs):
            raise InputError(f"'{file}': two labels have the same name: give each its own")
        labels = dict(pairs)
    for name, value in labels.items():
        if isinstance(value, list):
            raise InputError(
                f"'{file}': label '{brief(name)}' is a region ({brief(value)}), and regions overlap: give each label "
                "one value, in dataset.json or as data.labels"
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"'{file}': label '{brief(name)}' is {brief(value)}: expected a whole number from 0")
    if 0 not in labels.values():
        raise InputError(f"'{file}': no label is 0, the {_BACKGROUND}")
    return labels
