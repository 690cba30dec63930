"""Checks bodies against JSON Schemas with the package jsonschema.

The directory given holds bodies.jsonl, each line {"schema": FILE, "body": TEXT}, and the schemas.
"""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator

directory = pathlib.Path(sys.argv[1])
validators = {}
valid = 0
for line in (directory / "bodies.jsonl").read_text(encoding="utf-8").split("\n"):
    if not line:
        continue
    item = json.loads(line)
    name = item["schema"]
    if name not in validators:
        schema = json.loads((directory / name).read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        validators[name] = Draft202012Validator(schema)
    errors = list(validators[name].iter_errors(json.loads(item["body"])))
    if errors:
        print(f"{name}: {errors[0].message}\n{item['body']}")
        sys.exit(1)
    valid += 1
print(f"{valid} valid by {len(validators)} schemas")
