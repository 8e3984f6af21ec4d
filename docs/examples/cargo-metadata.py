#!/usr/bin/env python3
"""Crates and their dependencies as a graph, for `gobctl invoke GRAPH import -`.

    docs/examples/cargo-metadata.py | gobctl invoke crates import -
    cargo metadata --format-version 1 | docs/examples/cargo-metadata.py - | gobctl invoke crates import -

A node is a crate, `serde`, or `syn@2.0.1` where several versions are used. An edge goes from a crate to what it
depends on: `depends_on`, `dev_depends_on` or `build_depends_on`. Members that are no default members are left out.
"""

import argparse
import collections
import json
import subprocess
import sys

EDGE_TYPES = {None: "depends_on", "dev": "dev_depends_on", "build": "build_depends_on"}
METADATA = ["cargo", "metadata", "--quiet", "--format-version", "1"]


def node_ids(packages):
    """What each package is called in the graph: its name alone where that is enough."""
    versions = collections.Counter(package["name"] for package in packages)
    return {
        package["id"]: package["name"]
        if versions[package["name"]] == 1
        else f"{package['name']}@{package['version']}"
        for package in packages
    }


def node(package, ids, workspace):
    wanted = ("version", "license", "description", "repository")
    properties = {key: package[key].strip() for key in wanted if package.get(key)}
    properties["member"] = package["id"] in workspace
    return {"node": {"id": ids[package["id"]], "label": "crate", "properties": properties}}


def built(metadata):
    """The packages that the default members are built of, themselves included, as `cargo build` has them."""
    dependencies = {node["id"]: node["dependencies"] for node in metadata["resolve"]["nodes"]}
    members = metadata.get("workspace_default_members") or metadata["workspace_members"]
    found, left = set(), list(members)
    while left:
        package = left.pop()
        if package not in found:
            found.add(package)
            left += dependencies[package]
    return found


def edges(resolved, ids):
    """The edges of one crate; one for each kind of dependency, with the targets that it is for."""
    for dependency in resolved["deps"]:
        targets = {}
        for kind in dependency["dep_kinds"]:
            targets.setdefault(EDGE_TYPES[kind["kind"]], set()).add(kind["target"])
        for edge_type, only in sorted(targets.items()):
            edge = {"from": ids[resolved["id"]], "to": ids[dependency["pkg"]], "type": edge_type}
            if None not in only:
                edge["properties"] = {"targets": sorted(only)}
            yield {"edge": edge}


def main():
    parser = argparse.ArgumentParser(description="cargo metadata as lines of a graph")
    parser.add_argument("metadata", nargs="?", help="a file of `cargo metadata`; - is standard input; else it is run")
    path = parser.parse_args().metadata
    if path is None:
        metadata = json.loads(subprocess.run(METADATA, check=True, stdout=subprocess.PIPE).stdout)
    elif path == "-":
        metadata = json.load(sys.stdin)
    else:
        with open(path, encoding="utf-8") as file:
            metadata = json.load(file)
    used = built(metadata)
    packages = [package for package in metadata["packages"] if package["id"] in used]
    ids = node_ids(packages)
    workspace = set(metadata["workspace_members"])
    for package in packages:
        print(json.dumps(node(package, ids, workspace)))
    for resolved in metadata["resolve"]["nodes"]:
        if resolved["id"] in used:
            for edge in edges(resolved, ids):
                print(json.dumps(edge))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: cargo metadata exited {error.returncode}")
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"error: {error!r}")
