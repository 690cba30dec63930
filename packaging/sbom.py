#!/usr/bin/env python3
"""The parts of the shipped program as CycloneDX 1.5, from cargo's own account of them.

    packaging/sbom.py TARGET >switchhook.cdx.json

Only what is linked into the program for TARGET: no build scripts' and no tests' crates. The same
Cargo.lock and SOURCE_DATE_EPOCH give the same bytes.
"""
import datetime, json, os, subprocess, sys, tomllib, uuid

target = sys.argv[1]
meta = json.loads(subprocess.run(
    ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target],
    check=True, capture_output=True).stdout)
with open(os.path.join(meta["workspace_root"], "Cargo.lock"), "rb") as lock:
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.load(lock)["package"]}
packages = {p["id"]: p for p in meta["packages"]}
nodes = {n["id"]: n for n in meta["resolve"]["nodes"]}
root = meta["resolve"]["root"]

def linked(node):
    """The ids a crate is linked with: dependencies that are neither for building nor for tests."""
    return sorted(d["pkg"] for d in nodes[node]["deps"] if any(k["kind"] is None for k in d["dep_kinds"]))

def is_macro(node):
    return any("proc-macro" in t["kind"] for t in packages[node]["targets"])

found, todo = {}, [root]
while todo:
    node = todo.pop()
    if node not in found and not is_macro(node):
        found[node] = [d for d in linked(node) if not is_macro(d)]
        todo += found[node]

def reference(node):
    return f"pkg:cargo/{packages[node]['name']}@{packages[node]['version']}"

def component(node, kind):
    p = packages[node]
    part = {"type": kind, "bom-ref": reference(node), "name": p["name"], "version": p["version"],
            "purl": reference(node)}
    if p.get("license"):
        part["licenses"] = [{"expression": p["license"].replace("/", " OR ")}]
    if checksums.get((p["name"], p["version"])):
        part["hashes"] = [{"alg": "SHA-256", "content": checksums[(p["name"], p["version"])]}]
    return part

parts = sorted((n for n in found if n != root), key=reference)
when = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
bom = {
    "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
    "serialNumber": "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, target + repr([(reference(n)) for n in parts]))),
    "metadata": {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": component(root, "application"),
                 "properties": [{"name": "target", "value": target}]},
    "components": [component(n, "library") for n in parts],
    "dependencies": [{"ref": reference(n), "dependsOn": sorted(map(reference, found[n]))}
                     for n in sorted(found, key=reference)],
}
json.dump(bom, sys.stdout, indent=1, sort_keys=True)
print()
