"""The JSON Schema says what the models say."""

from __future__ import annotations

import json
import re
import subprocess
import sys

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
    code = "import sys, nucleus_sync.spec; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_does_not_import_pydantic_settings() -> None:
    code = "import sys, nucleus_sync.spec.load; sys.exit('pydantic_settings' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
