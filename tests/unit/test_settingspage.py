"""The page of the settings."""

from pathlib import Path

import msgspec

from guard.settingspage import MEANINGS, kinds, page


def test_the_page_is_up_to_date() -> None:
    """docs/settings.md is what `make docs` writes."""
    assert (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8") == page()


def test_every_key_has_one_sentence() -> None:
    """And no sentence is about a key that is no more."""
    keys = {f"{name}.{entry.name}" for name, kind in kinds().items() for entry in msgspec.structs.fields(kind)}
    assert keys == set(MEANINGS)
