"""`ablate data check`: what it prints, its page, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ablate.errors import InputError
from ablate.runners.cli.main import ablate


def data_check(*arguments: object) -> Result:
    return CliRunner().invoke(ablate, ["data", "check", *map(str, arguments)], standalone_mode=False)


def folder(root: Path, count: int = 12, name: str = "im{i:02d}", **masks: Any) -> Path:
    """Discs of 32x32 on noise; `masks`: by place (`m3`), a mask of one value."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    for i in range(count):
        mask = ((y - rng.uniform(10, 22)) ** 2 + (x - rng.uniform(10, 22)) ** 2 < 36).astype(np.uint8)
        image = np.clip(60 + 80 * mask + rng.normal(0, 12, mask.shape), 0, 255).astype(np.uint8)
        mask = np.full_like(mask, masks[f"m{i}"]) if f"m{i}" in masks else mask
        for kind, array in (("images", image), ("masks", mask)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / kind / f"{name.format(i=i, case=i // 3, z=i % 3)}.png")
    return root


def test_a_folder_is_shown_part_by_part_within_80_columns(tmp_path: Path) -> None:
    found = data_check(folder(tmp_path / "scans"), "--set", "data.size=[16,16]")
    assert found.exception is None
    assert found.return_value == 0
    lines = found.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "12 images of uint8, 32×32, resized to 16×16" in lines
    assert re.split(r" {2,}", lines[2].strip())[:5] == ["part", "cases", "images", "empty", "class"]
    assert [line.split()[:5] for line in lines[3:6]] == [
        ["training", "8", "8", "0", "foreground"],
        ["validation", "2", "2", "0", "foreground"],
        ["test", "2", "2", "0", "foreground"],
    ]
    assert lines[-1] == "Nothing is in doubt."


def test_doubts_are_said_and_strict_makes_them_count(tmp_path: Path) -> None:
    root = folder(tmp_path / "scans", name="patient{case}_slice{z}")
    asked = (root, "--set", "data.size=[32,32]")
    found = data_check(*asked)
    assert found.return_value == 0
    assert "Doubt: names suggest 4 cases" in " ".join(found.stdout.split())
    assert data_check(*asked, "--strict").return_value == 1
    told = data_check(*asked, "--strict", "--set", "data.case='(patient[0-9]+)_'")
    assert "names suggest" not in told.stdout
    assert told.return_value == 0


def test_json_is_one_document_with_all_of_it(tmp_path: Path) -> None:
    root = folder(tmp_path / "scans", m3=0, m7=0)
    found = json.loads(data_check(root, "--set", "data.size=[32,32]", "--json").stdout)
    [one] = found["data_sets"]
    assert found["errors"] == []
    assert one["stored"] == {"uint8": 12}
    assert sum(part["empty"] for part in one["parts"].values()) == 2
    assert any("2 of 12 masks" in text for text in one["doubts"])
    assert re.fullmatch("[0-9a-f]{12}", one["fingerprint"])


@pytest.mark.parametrize("broken", ["empty", "too few", "unreadable"])
def test_what_cannot_be_used_is_shown_as_far_as_it_goes_and_ends_with_an_error(tmp_path: Path, broken: str) -> None:
    masks = {f"m{i}": 0 for i in range(12)} if broken == "empty" else {}
    root = folder(tmp_path / "scans", count=2 if broken == "too few" else 12, **masks)
    if broken == "unreadable":
        (root / "images" / "im03.png").write_bytes(b"no image")
    page = tmp_path / "page.html"
    found = data_check(root, "--set", "data.size=[32,32]", "-o", page)
    assert isinstance(found.exception, InputError)  # which `main` says in a line, with exit code 2
    said = {"empty": "no mask of 12 has any foreground", "too few": "too few images", "unreadable": "im03.png"}[broken]
    assert said in str(found.exception)
    assert "\n" not in str(found.exception)
    text = page.read_text().replace("&#39;", "'")
    assert text.count('class="banner"') == 1
    assert said in text
    assert ("Stop: " in found.stdout) == (broken != "unreadable")


def test_every_data_set_that_a_space_names_is_looked_at_and_none_twice(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    for name, count in (("a", 12), ("b", 15)):
        folder(tmp_path / name, count)
    space.write_text(
        "name: two\nquestion: Which?\ndesign: grid\nbase: {model: {name: unet}, data: {name: folder, size: [16, 16]}}\n"
        f"factors:\n  place: {{a: {{data.root: {tmp_path / 'a'}}}, b: {{data.root: {tmp_path / 'b'}}}}}\n"
        "  model.width: [4, 8]\n"
    )
    found = json.loads(data_check(space, "--json").stdout)
    assert [sum(part["images"] for part in one["parts"].values()) for one in found["data_sets"]] == [12, 15]
    assert [one["size"] for one in found["data_sets"]] == [[16, 16]] * 2


def test_a_data_set_goes_by_its_own_name_and_all_folds_are_looked_at() -> None:
    found = data_check("phantom", "--set", "data.count=12", "--set", "data.size=[16,16]", "--folds", "3")
    assert found.return_value == 0
    assert "12 images of float32, 16×16" in found.stdout


@pytest.mark.parametrize("target", ["nowhere", "pyramid_level", "/dev/null"])
def test_what_is_neither_folder_nor_space_is_said(target: str) -> None:
    assert re.search("is neither a folder nor a space", str(data_check(target).exception))


@pytest.mark.parametrize("layout", ["nnunet", "msd"])
def test_a_folder_with_a_dataset_json_is_read_as_it_says(tmp_path: Path, layout: str) -> None:
    import nibabel

    rng = np.random.default_rng(0)
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    listed = []
    for i in range(5):
        mask = np.zeros((16, 16, 3), np.uint8)
        mask[4 : 8 + i % 3, 3:9] = 1
        mask[10:13, 3:9] = 2
        image = (rng.normal(0, 1, mask.shape) + mask).astype(np.float32)
        name = f"case{i}_0000.nii.gz" if layout == "nnunet" else f"case{i}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), tmp_path / "imagesTr" / name)
        nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "labelsTr" / f"case{i}.nii.gz")
        listed.append({"image": f"./imagesTr/case{i}.nii.gz", "label": f"./labelsTr/case{i}.nii.gz"})
    said: dict[str, Any] = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "liver": 1, "tumour": 2}}
    if layout == "msd":
        said = {"modality": {"0": "MR"}, "labels": {"0": "background", "1": "liver", "2": "tumour"}, "training": listed}
    (tmp_path / "dataset.json").write_text(json.dumps(said | {"file_ending": ".nii.gz", "numTraining": 5}))
    [one] = json.loads(data_check(tmp_path, "--set", "data.size=[16,16]", "--json").stdout)["data_sets"]
    train = one["parts"]["train"]
    assert (train["cases"], train["images"]) == (3, 9)
    assert [found["name"] for found in train["classes"]] == ["liver", "tumour"]


def test_a_folder_takes_no_second_one(tmp_path: Path) -> None:
    root = folder(tmp_path / "scans")
    assert "leave it out" in str(data_check(root, "--data-dir", tmp_path).exception)
    assert "its name must end in that" in str(data_check(root, "-o", tmp_path / "page.txt").exception)


def test_without_a_command_help_is_shown() -> None:
    found = CliRunner().invoke(ablate, ["data"], standalone_mode=False)
    assert "ablate data check images/" in found.output
    assert not found.exception


def test_the_page_is_whole_safe_and_shows_what_is_in_doubt(tmp_path: Path) -> None:
    root = folder(tmp_path / "scans", count=90, m40=0, m41=0)
    (root / "dataset.yaml").write_text("title: '<script>alert(1)</script>'\nclass_names: [rest, '<i>cell</i>']\n")
    page = tmp_path / "page.html"
    assert data_check(root, "--set", "data.size=[32,32]", "-o", page).return_value == 0
    html = page.read_text()
    assert "<script>alert" not in html
    assert "<i>cell" not in html
    assert "&lt;i&gt;cell&lt;/i&gt;" in html
    assert html.count("data:image/png;base64") == 60
    assert not re.search(r"(src|href)=.https?:|url\(|@import", html)
    assert len(html) < 4_000_000
