"""The pages' tables of transfer methods, the configurations' settings, and the records that both come from."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import transfer_tables

from siamese_jax import load_config

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "docs" / "records"
CONFIG_OF = {
    "transfer": "tune_ravdess_whisper", "transfer_is09": "tune_ravdess_is09", "transfer_emodb": "tune_emodb_whisper",
    "transfer_emodb_is09": "tune_emodb_is09",
}  # fmt: skip


def test_pages_hold_the_tables_of_their_records():
    made = transfer_tables.blocks()
    pages = [path.read_text(encoding="utf-8") for path in transfer_tables.PAGES]
    for name in made:
        assert any(f"<!-- {name} -->" in page for page in pages), name
    for page in pages:
        assert page == transfer_tables.filled(page, made)


def test_a_changed_number_is_noticed():
    page = transfer_tables.PAGES[0].read_text(encoding="utf-8")
    start = page.index("<!-- summary -->")
    changed = page[:start] + page[start:].replace(".", ",", 1)
    assert changed != page
    assert transfer_tables.filled(changed, transfer_tables.blocks()) == page


@pytest.mark.parametrize("name", CONFIG_OF)
def test_a_configuration_has_the_settings_that_were_chosen_without_its_target(name):
    (record,) = json.loads((RECORDS / f"{CONFIG_OF[name]}.json").read_text(encoding="utf-8"))
    config = load_config(name)
    for field, value in record["chosen"].items():
        own = config.transfer[field]
        assert (own[0] if field == "balance_strength" else own) == value, field
    assert record["target"] == config.data.target
    assert config.data.target not in {transfer["target"] for transfer in record["transfers"]}


def test_records_are_small():
    assert all(path.stat().st_size < 1_000_000 for path in RECORDS.glob("*.json"))
