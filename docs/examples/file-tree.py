#!/usr/bin/env python3
"""A directory tree as a graph, for `gobctl invoke GRAPH import -`; large, and on every machine.

    docs/examples/file-tree.py /usr | gobctl invoke files import -

Nodes: directories, files and symbolic links by path; `ext:.so`, `owner:root` and `inode:DEVICE-NUMBER`.
Edges: `contains`, `links_to` (symbolic links, to what is in the tree), `has_extension`, `owned_by`, and `same_file` from
each hard link to its inode. What can't be read, and names that are no text, are counted on standard error.

Every line is written as it is found. Memory holds the open directories, the extensions and the owners, not the
tree: import takes edges before their nodes, and a node twice.
"""

import argparse
import json
import os
import pwd
import stat
import sys

LONGEST_ID = 512


class Graph:
    """Writes lines until the limit of edges is met."""

    def __init__(self, limit):
        self.left, self.nodes, self.edges, self.skipped = limit, 0, 0, 0
        self.small = set()

    def node(self, node_id, label, **properties):
        self.nodes += 1
        print(json.dumps({"node": {"id": node_id, "label": label, "properties": properties}}))

    def edge(self, source, target, edge_type):
        self.edges += 1
        self.left -= 1
        print(json.dumps({"edge": {"from": source, "to": target, "type": edge_type}}))

    def shared(self, node_id, label):
        """A node of which there are few: extensions and owners."""
        if node_id not in self.small:
            self.small.add(node_id)
            self.node(node_id, label)
        return node_id


def usable(path):
    """What a node id may be: 1 to 512 bytes of UTF-8 without control characters."""
    try:
        return len(path.encode()) <= LONGEST_ID and all(c.isprintable() or c == " " for c in path)
    except UnicodeEncodeError:
        return False


def owner_name(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def walk(graph, root):
    stack = [os.scandir(root)]
    graph.node(root, "directory")
    parents = [root]
    while stack:
        entry = next(stack[-1], None)
        if entry is None or graph.left <= 0:
            stack.pop().close()
            parents.pop()
            continue
        if not usable(entry.path):
            graph.skipped += 1
            continue
        try:
            is_directory = one(graph, root, parents[-1], entry)
            inner = os.scandir(entry.path) if is_directory else None
        except OSError:
            graph.skipped += 1
            continue
        if inner is not None:
            stack.append(inner)
            parents.append(entry.path)


def one(graph, root, parent, entry):
    """One entry of a directory; whether it is to be entered."""
    about = entry.stat(follow_symlinks=False)
    path, mode = entry.path, about.st_mode
    label = "directory" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "file"
    graph.node(path, label, size=about.st_size, mode=f"{stat.S_IMODE(mode):04o}")
    graph.edge(parent, path, "contains")
    graph.edge(path, graph.shared(f"owner:{owner_name(about.st_uid)}", "owner"), "owned_by")
    if label == "link":
        target = os.path.normpath(os.path.join(parent, os.readlink(path)))
        inside = target.startswith(root.rstrip("/") + "/")
        # Only to what is there under this very name: an edge needs its node, and a name through a link has none.
        if inside and usable(target) and os.path.realpath(os.path.dirname(target)) == os.path.dirname(target):
            if os.path.lexists(target):
                # A node of the same content as the walk's, in case that the limit ends it before it comes there.
                told = os.lstat(target)
                kind = "directory" if stat.S_ISDIR(told.st_mode) else "link" if stat.S_ISLNK(told.st_mode) else "file"
                graph.node(target, kind, size=told.st_size, mode=f"{stat.S_IMODE(told.st_mode):04o}")
                graph.edge(path, target, "links_to")
    elif label == "file":
        extension = os.path.splitext(entry.name)[1].lower()
        if extension and len(extension) <= 16:
            graph.edge(path, graph.shared(f"ext:{extension}", "extension"), "has_extension")
        if about.st_nlink > 1:
            inode = f"inode:{about.st_dev}-{about.st_ino}"
            graph.node(inode, "inode", links=about.st_nlink)
            graph.edge(path, inode, "same_file")
    return label == "directory"


def main():
    parser = argparse.ArgumentParser(description="a directory tree as lines of a graph")
    parser.add_argument("root", help="the directory")
    parser.add_argument("--limit", type=int, default=200_000, help="about how many edges at most (200000)")
    arguments = parser.parse_args()
    graph = Graph(arguments.limit)
    walk(graph, os.path.realpath(arguments.root))
    print(f"{graph.nodes} node lines, {graph.edges} edge lines, {graph.skipped} entries left out", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # Whoever reads has ended, and said why.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"error: {error}")
