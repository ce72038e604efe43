"""The specs of the benchmarks, by work; `{path}` is the input."""

_DATASET = """
datasets:
  street:
    name: Street
    items: [source]
"""

_COCO = """version: 1
sources:
  source:
    format: coco
    path: {path}
    image_url: "s3://bucket/{{file_name}}"
    reference_id: "{{file_name}}"
"""

SPECS = {
    "coco": _COCO + _DATASET + "    annotations: [source]\n",
    "ndjson": "version: 1\nsources:\n  source:\n    format: records\n    path: {path}\n" + _DATASET,
    "parquet": """version: 1
sources:
  source:
    format: table
    path: {path}
    reference_id: "{{reference_id}}"
    image_url: "{{image_url}}"
    metadata: {{camera: "{{camera}}", speed: "{{speed}}"}}
"""
    + _DATASET,
    "photos": "version: 1\nsources:\n  source:\n    format: images\n    path: {path}\n" + _DATASET,
    "results": _COCO.replace("{path}", "{truth}")
    + """  found:
    format: coco-results
    path: {path}
    ground_truth: {truth}
    reference_id: "{{file_name}}"
"""
    + _DATASET
    + """models:
  cnn:
    name: CNN
    reference_id: cnn
    predictions:
      street: [found]
""",
}
