"""Files as others keep them: which go together, what they say of themselves, and what is passed over."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from ablate.data.layouts import Msd, NnUNet
from ablate.data.load import load_data
from ablate.data.pairing import Layout, layout_of
from ablate.data.settings import FileSource, Folder, Isbi2012, KaggleLung, Liver
from ablate.errors import InputError
from ablate.kinds import KINDS, make, parse
from ablate.part import DataPart
from ablate.settings import parse as parse_settings

RNG = np.random.default_rng(0)


def png(path: Path, value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((8, 9), np.uint8)
    mask[2:5, 3:] = value
    Image.fromarray(mask).save(path)


def pngs(root: Path, *names: str) -> Path:
    for name in names:
        png(root / name)
    return root


def names_of(layout: Layout, root: Path) -> dict[str, str]:
    return {pair.id: pair.mask.relative_to(root).as_posix() for pair in layout.pairs}


# Folder --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "fields", "expected"),
    [
        (["images/a.png", "masks/a.png"], {}, {"a": "masks/a.png"}),
        (["images/a.png", "masks/a_mask.png"], {"mask": "_mask"}, {"a": "masks/a_mask.png"}),
        (["images/a.png", "masks/a_mask.png"], {"mask": "*_mask.png"}, {"a": "masks/a_mask.png"}),
        (["images/a.png", "masks/seg_a.png"], {"mask": "seg_*"}, {"a": "masks/seg_a.png"}),
        (["images/a.png", "images/a_mask.png"], {"mask": "_mask"}, {"a": "images/a_mask.png"}),
        (["a.png", "a_mask.png", "b.png", "b_mask.png"], {"mask": "*_mask"}, {"a": "a_mask.png", "b": "b_mask.png"}),
        (["a.png", "l-a-x.png"], {"mask": "l-*-x"}, {"a": "l-a-x.png"}),
        (["p1/a.png", "p1/a_m.png", "p2/a.png", "p2/a_m.png"], {"mask": "_m", "case": "folder"},
         {"p1/a": "p1/a_m.png", "p2/a": "p2/a_m.png"}),
        (["images/p1/a.png", "images/p2/a.png", "masks/p1/a.png", "masks/p2/a.png"], {"case": "folder"},
         {"p1/a": "masks/p1/a.png", "p2/a": "masks/p2/a.png"}),
        (["images/train/a.png", "images/test/b.png", "masks/train/a.png", "masks/test/b.png"], {"parts": "folder"},
         {"test/b": "masks/test/b.png", "train/a": "masks/train/a.png"}),
        (["train/images/a.png", "train/masks/a.png", "val/images/a.png", "val/masks/a.png"], {"parts": "folder"},
         {"train/a": "train/masks/a.png", "val/a": "val/masks/a.png"}),
        (["p1/images/a.png", "p1/masks/a.png", "p2/images/a.png", "p2/masks/a.png"], {"case": "folder"},
         {"p1/a": "p1/masks/a.png", "p2/a": "p2/masks/a.png"}),
        (["train/p1/images/a.png", "train/p1/masks/a_m.png"], {"case": "folder", "parts": "folder", "mask": "_m"},
         {"train/p1/a": "train/p1/masks/a_m.png"}),
    ],
)  # fmt: skip
def test_where_masks_lie_and_what_they_are_called(
    files: list[str], fields: dict[str, str], expected: dict[str, str], tmp_path: Path
) -> None:
    source = Folder(root=pngs(tmp_path, *files), **fields)
    layout = layout_of(source)
    assert names_of(layout, tmp_path) == expected
    assert layout.passed_over == ()
    data = load_data(source.model_copy(update={"size": (8, 8)}))
    assert data.ids == tuple(expected)
    if "parts" in fields:
        assert set(data.fixed) <= {"train", "val", "test"}
    if fields.get("case") == "folder":
        assert all(name.split("/")[-2] == group for name, group in zip(data.ids, data.groups, strict=True))


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        (["images/a.png", "masks/a_mask.png"], r"; if masks are called so, set data\.mask='\*_mask'$"),
        (["images/a.png", "images/b.png", "masks/seg_a.png", "masks/seg_b.png"], r"set data\.mask='seg_\*'$"),
        (["images/a1.png", "images/a10.png", "masks/a1_m.png", "masks/a10_m.png"], r"set data\.mask='\*_m'$"),
        (["images/a.png", "images/b.png", "masks/a_mask.png"], "volumes become axial slices\\)$"),
        (
            ["images/p1/a.png", "masks/p1/a.png"],
            r"; sub-folders are read with data\.case=folder or data\.parts=folder$",
        ),
    ],
)
def test_what_may_be_meant_is_said(files: list[str], remedy: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=remedy):
        layout_of(Folder(root=pngs(tmp_path, *files)))


def test_hidden_folders_are_not_looked_into(tmp_path: Path) -> None:
    pngs(tmp_path, *(f"{kind}/p1/{name}.png" for kind in ("images", "masks") for name in ("a", ".ipynb_checkpoints/b")))
    assert layout_of(Folder(root=tmp_path, case="folder")).passed_over == ()
    assert [pair.id for pair in layout_of(Folder(root=tmp_path, case="folder")).pairs] == ["p1/a"]


@pytest.mark.parametrize("mask", ["*", "*_*", "a/*", "", "\n*"])
def test_a_pattern_that_is_none_is_refused(mask: str) -> None:
    if mask:
        with pytest.raises(InputError, match=r"expected one \*"):
            parse_settings(Folder, {"mask": mask}, "data")
    assert Folder(mask="_m") == Folder(mask="*_m")
    assert "mask" not in Folder().canonical()


def test_masks_that_a_pattern_leaves_alone_are_named(tmp_path: Path) -> None:
    pngs(tmp_path, "a.png", "a_mask.png", "b.png", "c_mask.png")
    with pytest.raises(InputError, match=r"1 of 2 images have no mask, the first is '.*/b\.png'"):
        layout_of(Folder(root=tmp_path, mask="_mask"))
    png(tmp_path / "b_mask.png")
    with pytest.raises(InputError, match=r"1 of 3 masks have no image, the first is '.*/c_mask\.png'"):
        layout_of(Folder(root=tmp_path, mask="_mask"))


def test_what_is_passed_over_is_known(tmp_path: Path) -> None:
    pngs(
        tmp_path, "images/a10.png", "images/a9.png", "masks/a9.png", "masks/a10.png", "images/sub/b.png", "other/c.png"
    )
    for name in ("images/scan.bmp", "images/scan.dcm", "images/scan.mha", "notes.txt", "images/.DS_Store", ".git/x",
                 "images/._a9.png", "cases.csv", "dataset.yaml", "other.csv"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("image,case\na9,1\na10,2\n")
    layout = layout_of(Folder(root=tmp_path, case="cases.csv"))
    assert [pair.id for pair in layout.pairs] == ["a9", "a10"]
    assert [path.relative_to(tmp_path).as_posix() for path in layout.passed_over] == [
        "images/scan.bmp", "images/scan.dcm", "images/scan.mha", "images/sub/b.png", "notes.txt", "other.csv",
        "other/c.png",
    ]  # fmt: skip


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
@pytest.mark.parametrize("name", ["müller", "größe_é", "ангио", "スライスガ", "Å1"])
def test_a_name_in_two_unicode_forms_is_one(name: str, forms: tuple[str, str], tmp_path: Path) -> None:
    image, mask = (unicodedata.normalize(form, name) for form in forms)
    pngs(tmp_path, f"images/{image}.png", f"masks/{mask}.png")
    (pair,) = layout_of(Folder(root=tmp_path)).pairs
    assert pair.id == image  # so that keys of what was read before hold
    assert pair.mask.name == f"{mask}.png"


def test_names_that_differ_only_in_their_unicode_form_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "müller")
        pngs(tmp_path, f"images/{name}.png", f"masks/{name}.png")
    with pytest.raises(InputError, match="one name in two Unicode forms: keep one"):
        layout_of(Folder(root=tmp_path))


@pytest.mark.parametrize(
    ("source", "files", "ids", "over"),
    [
        (KaggleLung, ["2d_images/a.png", "2d_masks/a.png", "2d_images/readme.md"], ["a"], ["2d_images/readme.md"]),
        (Liver, ["train/0.png", "train/0_mask.png", "val/1.png", "val/1_mask.png", "test/2.png"],
         ["train/0", "val/1"], ["test/2.png"]),
        (Isbi2012, ["images/1.png", "labels/1.png", "test-volume.tif"], ["1"], ["test-volume.tif"]),
    ],
)  # fmt: skip
def test_layouts_of_the_papers_data_say_what_they_pass_over(
    source: type[FileSource], files: list[str], ids: list[str], over: list[str], tmp_path: Path
) -> None:
    for name in files:
        png(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("x")
    layout = layout_of(source(root=tmp_path))
    assert [pair.id for pair in layout.pairs] == ids
    assert [path.relative_to(tmp_path).as_posix() for path in layout.passed_over] == over


def test_folders_of_a_kaggle_set_may_be_its_parts(tmp_path: Path) -> None:
    pngs(tmp_path, *(f"{part}/{n}{kind}.png" for part in ("train", "val") for n in "01" for kind in ("", "_mask")))
    data = load_data(Liver(root=tmp_path, parts="folder", size=(8, 8)))
    assert data.fixed == ("train", "train", "val", "val")


# nnU-Net and the Decathlon -------------------------------------------------------------------------------------------

AFFINE = np.diag([-1.5, -1.5, 3.0, 1.0])
NNUNET = {
    "channel_names": {"0": "T1", "1": "T2", "2": "FLAIR", "3": "T1c"},
    "labels": {"background": 0, "tumour": 2, "oedema": 1},
    "file_ending": ".nii.gz",
    "numTraining": 2,
}
DECATHLON = {
    "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
    "labels": {"0": "background", "1": "oedema", "2": "tumour"},
    "training": [{"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in ("b", "a")],
    "test": ["./imagesTs/c.nii.gz"],
}


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


def nnunet(root: Path, **changes: Any) -> dict[str, np.ndarray]:
    """Two cases of four channels; what their channels and labels are, by case, canonical."""
    content = {name: value for name, value in {**NNUNET, **changes}.items() if value is not None}
    root.mkdir(exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(content))
    made = {}
    for case in ("a", "b"):
        channels = RNG.integers(0, 999, (4, 7, 6, 3)).astype(np.int16)
        for n, channel in enumerate(channels):
            nifti(root / f"imagesTr/{case}_{n:04d}.nii.gz", channel)
        labels = RNG.integers(0, 3, (7, 6, 3)).astype(np.uint8)
        nifti(root / f"labelsTr/{case}.nii.gz", labels)
        nifti(root / "imagesTs/c_0000.nii.gz", labels)
        made |= {case: channels, f"{case} labels": labels}
    return made


def decathlon(root: Path, **changes: Any) -> dict[str, np.ndarray]:
    root.mkdir(exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(DECATHLON | changes))
    made = {}
    for case in ("a", "b"):
        channels, labels = RNG.integers(0, 999, (7, 6, 3, 4)).astype(np.int16), RNG.integers(0, 3, (7, 6, 3))
        nifti(root / f"imagesTr/{case}.nii.gz", channels)
        nifti(root / f"labelsTr/{case}.nii.gz", labels.astype(np.uint8))
        made |= {case: np.moveaxis(channels, -1, 0), f"{case} labels": labels}
    return made


def of_root(name: str, root: Path, **fields: Any) -> DataPart:
    part = parse(KINDS["data set"], {"name": name, "size": [8, 8], **fields}, local={"root": str(root)})
    assert isinstance(part, DataPart)
    return part


@pytest.mark.parametrize(("name", "make_files"), [("nnunet", nnunet), ("msd", decathlon)])
def test_channels_labels_and_names_are_as_its_own_file_says(name: str, make_files: Any, tmp_path: Path) -> None:
    made = make_files(tmp_path / "Dataset001_Brain")
    part = of_root(name, tmp_path / "Dataset001_Brain")
    assert (part.channels, part.classes, part.labels) == (4, 3, ((0,), (1,), (2,)))  # in the key
    assert part.class_names == ("background", "oedema", "tumour")
    assert part.title == "Dataset001_Brain"
    samples = make(KINDS["data set"], part).read()
    assert [one.id for one in samples] == [f"{case}_z{z:03d}" for case in "ab" for z in range(3)]
    for one in samples:
        case, z = one.group, int(one.id[-1])
        for n in range(4):  # stored to the left and to the back: rows run as they are, columns the other way
            np.testing.assert_array_equal(one.image[..., n], made[case][n, ::-1, :, z].T)
        np.testing.assert_array_equal(one.mask, made[f"{case} labels"][::-1, :, z].T)
        assert one.spacing == (1.5, 1.5)
    again = DataPart(part.canonical(), {"root": str(tmp_path / "Dataset001_Brain")})
    assert make(KINDS["data set"], again).labels == part.labels


def test_what_the_user_says_goes_before_what_the_file_says(tmp_path: Path) -> None:
    nnunet(tmp_path)
    part = of_root("nnunet", tmp_path, use_channels=[3, 1], labels={"rest": [0, 1], "core": 2})
    assert (part.channels, part.use_channels, part.classes) == (2, (3, 1), 1)
    assert part.class_names == ("rest", "core")
    with pytest.raises(InputError, match="labels has 3 classes and n_classes is 7"):
        of_root("nnunet", tmp_path, n_classes=7)
    with pytest.raises(InputError, match=r"a_0000\.nii\.gz' has 4 channels and data\.channels is 1"):
        load_data(of_root("nnunet", tmp_path, channels=1))


def test_an_ignored_label_is_ignored(tmp_path: Path) -> None:
    nnunet(tmp_path, labels={"background": 0, "brain": 1, "ignore": 2})
    part = of_root("nnunet", tmp_path)
    assert (part.classes, part.labels, part.ignore) == (1, ((0,), (1,)), (2,))


def test_the_decathlons_files_may_be_named_otherwise_and_are_passed_over_where_they_are_not_listed(
    tmp_path: Path,
) -> None:
    decathlon(tmp_path)
    nifti(tmp_path / "imagesTs/c.nii.gz", np.zeros((7, 6, 3), np.uint8))
    layout = layout_of(Msd(root=tmp_path))
    assert [pair.id for pair in layout.pairs] == ["a", "b"]
    assert [path.name for path in layout.passed_over] == ["c.nii.gz"]
    nnunet(tmp_path / "n")
    (tmp_path / "n/splits_final.json").write_text("[]")
    layout = layout_of(NnUNet(root=tmp_path / "n"))
    assert [path.name for path in layout.passed_over] == ["c_0000.nii.gz", "splits_final.json"]


def test_one_file_may_hold_all_channels_as_colour_does(tmp_path: Path) -> None:
    colour = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "road": 1}}
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "dataset.json").write_text(json.dumps(colour | {"file_ending": ".png"}))
    image = RNG.integers(0, 255, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "imagesTr/x_0000.png")
    png(tmp_path / "labelsTr/x.png", 1)
    (sample,) = make(KINDS["data set"], of_root("nnunet", tmp_path)).read()
    np.testing.assert_array_equal(sample.image, image)


WRONG = {
    "a channel missing": (lambda r: (r / "imagesTr/b_0002.nii.gz").unlink(), r"b_0002\.nii\.gz' is missing"),
    "a channel more": (lambda r: nifti(r / "imagesTr/b_0004.nii.gz", np.ones((7, 6, 3))), "b_0004.* is one more"),
    "no channel": (lambda r: nifti(r / "imagesTr/b.nii.gz", np.ones((7, 6, 3))), r"b\.nii\.gz' names no channel"),
    "no label": (lambda r: (r / "labelsTr/b.nii.gz").unlink(), "1 of 2 images have no mask"),
    "no labels": (lambda r: [p.unlink() for p in (r / "labelsTr").iterdir()], "2 of 2 images have no mask"),
    "a label more": (lambda r: nifti(r / "labelsTr/c.nii.gz", np.ones((7, 6, 3))), "1 of 3 masks have no image"),
    "no dataset.json": (lambda r: (r / "dataset.json").unlink(), r"dataset\.json' is missing"),
    "channels apart": (
        lambda r: nifti(r / "imagesTr/b_0001.nii.gz", np.ones((7, 6, 3)), np.diag([-1.5, -1.5, 4, 1])),
        r"further channel '.*b_0001\.nii\.gz' do not agree: spacing",
    ),
    "channels of two sizes": (
        lambda r: nifti(r / "imagesTr/b_0001.nii.gz", np.ones((7, 6, 4))),
        "is 6x7 with 3 slices",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_files_that_do_not_go_together_are_one_line(case: str, tmp_path: Path) -> None:
    nnunet(tmp_path)
    change, expected = WRONG[case]
    change(tmp_path)
    with pytest.raises(InputError, match=expected) as caught:
        load_data(of_root("nnunet", tmp_path, channels=4))
    assert "\n" not in str(caught.value)


SAYS = [
    (
        {"labels": {"background": 0, "whole": [1, 2], "core": 2}},
        r"'whole' is a region \(\[1, 2\]\), and regions overlap",
    ),
    ({"labels": {"liver": 1, "tumour": 2}}, "no label is 0, the background"),
    ({"labels": {"background": 0}}, "expected labels"),
    ({"labels": None}, "expected labels"),
    ({"labels": {"background": 0, "liver": "one"}}, "label 'liver' is one"),
    ({"labels": {"background": 0, "liver": True}}, "label 'liver' is True"),
    ({"labels": {"background": 0, "a": 1, "b": 1}}, "1 stands for two classes"),
    ({"labels": {"0": "x", "1": "x"}}, "two labels have the same name"),
    ({"channel_names": None}, "expected channel_names"),
    ({"channel_names": {"1": "T1", "2": "T2"}}, "counted from 0"),
    ({"channel_names": ["T1"]}, "expected channel_names"),
    ({"file_ending": ".mha"}, r"file_ending '\.mha' cannot be read: expected one of \.png"),
]


@pytest.mark.parametrize(("changes", "expected"), SAYS)
def test_what_a_dataset_json_says_wrongly_is_one_line(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    nnunet(tmp_path, **changes)
    with pytest.raises(InputError, match=expected) as caught:
        load_data(of_root("nnunet", tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"[1]", b"{", b"\xff\xfe{", b'{"labels": ' + b"[" * 100_000])
def test_a_dataset_json_that_is_none_is_one_line(text: bytes, tmp_path: Path) -> None:
    nnunet(tmp_path)
    (tmp_path / "dataset.json").write_bytes(text)
    with pytest.raises(InputError, match=r"dataset\.json'"):
        of_root("nnunet", tmp_path)


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ([], "lists no training images"),
        (["imagesTr/a.nii.gz"], "expected image and label"),
        ([{"image": "./imagesTr/a.nii.gz"}], "expected image and label"),
        ([{"image": "../a.nii.gz", "label": "labelsTr/a.nii.gz"}], "is no file below"),
        ([{"image": "/etc/passwd", "label": "labelsTr/a.nii.gz"}], "is no file below"),
        ([{"image": 7, "label": "labelsTr/a.nii.gz"}], "is no file below"),
        ([{"image": "imagesTr/z.nii.gz", "label": "labelsTr/a.nii.gz"}], r"'imagesTr/z\.nii\.gz' is not there"),
        ([DECATHLON["training"][0]] * 2, "'b' is listed twice"),
    ],
)
def test_a_list_of_the_decathlon_that_names_no_files_is_one_line(
    training: list[Any], expected: str, tmp_path: Path
) -> None:
    decathlon(tmp_path, training=training)
    with pytest.raises(InputError, match=expected):
        load_data(of_root("msd", tmp_path))


def test_a_recorded_configuration_has_no_file_read(tmp_path: Path) -> None:
    nnunet(tmp_path)
    with pytest.raises(ValueError, match="a path has no place"):
        NnUNet.model_validate_json(json.dumps({"root": str(tmp_path)}))
