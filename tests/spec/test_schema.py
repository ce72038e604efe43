"""The JSON Schema says what the models say."""

from __future__ import annotations

import json
import re

from cli.imported import imported_by

from nucleus_sync.spec.schema import DIALECT, json_schema


def test_the_schema_is_json_of_draft_2020_12_and_the_same_each_time() -> None:
    schema = json_schema()
    assert schema["$schema"] == DIALECT
    assert json.dumps(schema, allow_nan=False) == json.dumps(json_schema())


def test_sizes_are_numbers_or_texts() -> None:
    number, text = json_schema()["$defs"]["BatchSettings"]["properties"]["max_bytes"]["anyOf"]
    assert number["exclusiveMaximum"] == 536_870_888
    assert all(re.search(text["pattern"], size) for size in ("128MiB", "500 MB", "1.5GiB", "4096", "1kb"))
    assert not re.search(text["pattern"], "12 parsecs")


def test_every_mapping_of_the_spec_is_closed() -> None:
    schema = json_schema()
    for name, part in schema["$defs"].items():
        expected = {"$ref": "#/$defs/LabelExpect"} if name == "Expect" else False
        assert part["additionalProperties"] == expected, name
    sources = schema["properties"]["sources"]["anyOf"][0]
    assert sources["additionalProperties"] is False


def test_the_package_itself_imports_no_pydantic() -> None:
    assert "pydantic" not in imported_by("import nucleus_sync.spec").modules


def test_loading_does_not_import_pydantic_settings() -> None:
    assert "pydantic_settings" not in imported_by("import nucleus_sync.spec.load").modules
