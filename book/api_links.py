"""A Sphinx extension: names of the package lead to their entries in the reference.

A page links each name where it first stands as inline code in its text, and a code cell where it
first stands in the cell; an entry of the reference links those that its docstring mentions. The
entries are what autodoc makes of the docstrings: no name is listed here, and no page marks one.

(Of code cells `sphinx_codeautolink` does the same, but version 0.19 stops at a section without a
title, as each exercise has one.)
"""

import ast
import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import inspect
from sphinx.util.nodes import make_refnode

INLINE = re.compile(r"([A-Za-z]\w*(?:\.[A-Za-z]\w*)*)(?:\(.*)?", re.DOTALL)  # a name, or a call
TYPE = re.compile(r"((?:[a-z]\w*\.)*[A-Z]\w*)")  # as numpydoc writes types: in words
PYTHON = ("python", "ipython3")
CELL = re.compile(r'<div class="highlight-i?python3? .*?</pre>', re.DOTALL)
WORD, DOT = r'<span class="n">\w+</span>', '<span class="o">.</span>'
# music.parse_key: neither the rest of another path nor the name of an argument.
PATH = re.compile(
    rf'(?<!{re.escape(DOT)}){WORD}(?:{re.escape(DOT)}{WORD})*(?!<span class="o">=</span>)'
)
METHODS_OF_MODELS = "cvae.models."


def entry_of(name: str, entries: dict[str, str], here: str = "") -> str | None:
    """Full name of the entry that a name in the text means; None if it means none.

    Parameters
    ----------
    name : str
        With as much of its path as the text gives: ``music.parse_key`` means
        ``cvae.music.keys.parse_key``.
    entries : dict of str -> str
        Full name -> "class", "function", "method", "module" and so on.
    here : str
        Full name of the entry whose docstring it is.
    """
    *path, last = name.split(".")

    def is_meant(full):
        *above, own = full.split(".")
        rest = iter(above)
        if own != last or not all(part in rest for part in path):  # in this order, some left out
            return False
        if entries[full] == "module":
            return full == name
        # Many a class has a `split` or `steps`, and so has much else that a chapter may mean.
        known = path or is_beside(full) or full.startswith(METHODS_OF_MODELS)
        return known or not is_method(full)

    def is_method(full):
        return entries[full] in ("method", "property")

    def is_beside(full):
        owner = full.rpartition(".")[0]
        return owner in (here, here.rpartition(".")[0])

    def distance(full):
        return (not is_beside(full), is_method(full), "LatentModel" not in full, len(full), full)

    return min(filter(is_meant, entries), key=distance, default=None)


class LinkNames(SphinxPostTransform):
    """Link names, where they first stand, in the text of a page and in each entry."""

    default_priority = 5

    def run(self, **kwargs):
        """Go through the inline code of a page, and the types in its entries."""
        self.entries, self.seen = entries_of(self.env), set()
        for code in list(self.document.findall(nodes.literal)):
            found = INLINE.fullmatch(code.astext())
            if found and not within(code, nodes.reference, nodes.title, addnodes.desc_signature):
                code.replace_self(self.linked(code, found[1], code))
        for field in list(self.document.findall(nodes.field)):
            for types in list(field.findall(nodes.emphasis)):
                parts = TYPE.split(types.astext())
                types[:] = [self.linked(types, part, nodes.Text(part)) for part in parts]

    def linked(self, place, name, shown):
        """What is shown, as a link to the entry of `name` if it has one that is not linked yet."""
        here, scope = entry_around(place)
        full = entry_of(name, self.entries, here)
        if full is None or full == here or (scope, full) in self.seen:
            return shown
        self.seen.add((scope, full))
        entry = self.env.get_domain("py").objects[full]
        to = entry.docname, entry.node_id
        return make_refnode(self.app.builder, self.env.docname, *to, shown.deepcopy(), full)


def link_cells(app, page, template, context, doctree):
    """Link names in the code cells of a page: those that the page imports, once a cell."""
    if doctree is None:
        return
    imported = {}
    for block in doctree.findall(nodes.literal_block):
        if block.get("language") in PYTHON:
            imported |= imports(block.astext())
    entries, objects = entries_of(app.env), app.env.get_domain("py").objects

    def linked_cell(cell):
        seen = set()

        def linked(path):
            words = path[0].split(DOT)
            first, *rest = (re.sub("<.*?>", "", word) for word in words)
            if first not in imported:
                return path[0]
            for count in range(len(words), 0, -1):  # the longest beginning that has an entry
                full = entry_of(".".join([imported[first], *rest[: count - 1]]), entries)
                if full:
                    break
            if not full or full in seen:
                return path[0]
            seen.add(full)
            to = app.builder.get_relative_uri(page, objects[full].docname)
            to += f"#{objects[full].node_id}"
            link = f'<a class="reference internal" href="{to}">{DOT.join(words[:count])}</a>'
            return DOT.join([link, *words[count:]])

        return PATH.sub(linked, cell[0])

    context["body"] = CELL.sub(linked_cell, context["body"])


def imports(code: str) -> dict[str, str]:
    """Names that a notebook cell imports from the package, with their full names."""
    lines = (line for line in code.splitlines() if not re.match(r"\s*[%!]", line))
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError:  # a piece of code, shown in the text
        return {}
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "cvae"
        for alias in node.names
    }


def entries_of(env):
    """Full name of each entry of the reference, and its kind."""
    return {name: entry.objtype for name, entry in env.get_domain("py").objects.items()}


def within(node, *kinds):
    """Whether a node stands in one of these kinds."""
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False


def entry_around(node):
    """Full name of the entry of the reference that a node stands in, and the entry ("", None)."""
    while node := node.parent:
        if isinstance(node, addnodes.desc):
            signature = node[0]
            return f"{signature['module']}.{signature['fullname']}", node
    return "", None


def spare_first_line(app, what, name, member, options, lines):
    """Keep napoleon from taking "The keys: each ..." of a constant for a type and what it means."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment


def signature_of_init(app, what, name, member, options, signature, returned):
    """Of classes whose base has a ``__new__`` that takes anything, as those of Keras and TFP."""
    if what == "class" and signature == "(*args, **kwargs)":
        own = inspect.signature(member.__init__, bound_method=True)
        return inspect.stringify_signature(own, show_annotation=False), returned


def skip_fields(app, what, name, member, skip, options):
    """Leave out what Python itself says of the fields of a named tuple: "Alias for field ..."."""
    return True if type(member).__name__ == "_tuplegetter" else skip


def setup(app):
    """Called by Sphinx."""
    app.add_post_transform(LinkNames)
    app.connect("html-page-context", link_cells)
    app.connect("autodoc-process-docstring", spare_first_line, priority=400)  # napoleon's is 500
    app.connect("autodoc-process-signature", signature_of_init)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
