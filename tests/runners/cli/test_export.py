"""`ablate export` writes the tables that the analysis reads."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from made_studies import made_study, trained, trivial

from ablate.analysis.frames import load
from ablate.runners.cli.export import export
from ablate.study.study import Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    one = trained()
    return made_study(tmp_path_factory.mktemp("study") / "study", one, trained(one.dataset, seed=1), *trivial(one))


@pytest.mark.parametrize("name", ["trials", "epochs", "images"])
def test_a_table_is_written_as_it_is_in_every_format(study: Study, name: str, tmp_path: Path, capsys) -> None:
    table: pd.DataFrame = getattr(load(study), name)
    assert len(table)
    export.main([str(study.path), "--table", name], standalone_mode=False)
    assert capsys.readouterr().out == table.to_csv(index=False)
    export.main([str(study.path), "--table", name, "--format", "json"], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)
    assert [list(row) for row in rows] == [list(table.columns)] * len(table)
    assert [row["key"] for row in rows] == table["key"].tolist()
    export.main([str(study.path), "--table", name, "-o", str(tmp_path / "table.parquet")], standalone_mode=False)
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO((tmp_path / "table.parquet").read_bytes())), table)
