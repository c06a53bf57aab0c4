"""The settings of data sets in the layouts of others, which describe themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationInfo, model_validator

from ablate.data.dataset_json import FILE, described
from ablate.data.settings import FileSource


class Described(FileSource):
    """Base of the layouts whose own dataset.json says what channels and labels there are, where the user does not."""

    is_own = True

    @model_validator(mode="before")
    @classmethod
    def _as_its_file_says(cls, fields: Any, info: ValidationInfo) -> Any:
        if not isinstance(fields, dict) or not fields.get("root") or info.mode == "json":  # which has no paths
            return fields
        root = Path(str(fields["root"]))
        if not (root / FILE).is_file() or {"labels", "channels"} <= set(fields):
            return fields
        said = described(root)
        if "use_channels" in fields:
            said["channels"] = len(fields["use_channels"] or ()) or said["channels"]
        if "labels" in fields:
            said = {"channels": said["channels"]}
        return said | fields


class NnUNet(Described):
    """nnU-Net's layout (version 2): imagesTr/, labelsTr/ and dataset.json."""

    module = "ablate.data.nnunet"
    name: Literal["nnunet"] = "nnunet"


class Msd(Described):
    """The Medical Segmentation Decathlon's layout: dataset.json with what it lists."""

    module = "ablate.data.msd"
    name: Literal["msd"] = "msd"
