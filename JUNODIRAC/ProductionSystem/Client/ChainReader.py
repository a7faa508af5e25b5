"""Reads the YAML of a chain, keeping the line of each part, so that each error can name it."""

from __future__ import annotations

from typing import Any

import yaml

from JUNODIRAC.Core.Domain.ChainCheck import checkChain
from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription
from JUNODIRAC.Core.Domain.ChainItem import BadChain, ChainError, Item
from JUNODIRAC.Core.Domain.ChainRules import Known

#: of a description; far more than any needs
MAX_CHARS = 100_000
_NULL = "tag:yaml.org,2002:null"


def readChain(text: str, fileName: str = "chain", known: Known | None = None) -> ChainDescription:
    """The chain that a YAML text describes.

    :param fileName: for the messages
    :param known: what the configuration knows, to be compared with; None: that is not looked at
    :raises BadChain: with all that is wrong, each with line and remedy
    """
    try:
        root = _compose(text, fileName)
    except RecursionError as error:
        raise BadChain(fileName, [ChainError(1, "brackets are nested too deeply", "take some away")]) from error
    return checkChain(root, text, fileName, known)


def _compose(text: str, fileName: str) -> Item:
    if len(text) > MAX_CHARS:
        problem = f"it is {len(text)} characters long"
        raise BadChain(fileName, [ChainError(1, problem, f"write at most {MAX_CHARS}")])
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(each for each in (error.context, error.problem) if each)
        remedy = "look at this line and those above: indentation, colons, quotes and brackets"
        raise BadChain(fileName, [ChainError(mark.line + 1 if mark else 1, f"this is no YAML: {said}", remedy)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadChain(fileName, [ChainError(line, "there is a character that YAML does not allow", "take it away")]) from error
    if len(documents) > 1:
        line = documents[1].start_mark.line + 1
        raise BadChain(fileName, [ChainError(line, "here a second document begins", "put one chain into a file, without ---")])
    if not documents:
        raise BadChain(fileName, [ChainError(1, "it is empty", "write name, version and steps")])
    return _item(documents[0], set(), fileName)


def _item(node: Any, seen: set[int], fileName: str) -> Item:
    """A node without YAML's own types: 24.10 stays as it stands there."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return Item(line, None if node.tag == _NULL else node.value)
    # an alias gives the same node again, even inside of itself
    if id(node) in seen:
        raise BadChain(fileName, [ChainError(line, "this part is used again by an alias (*)", "write it out where it is wanted")])
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        return Item(line, [(_item(key, seen, fileName), _item(value, seen, fileName)) for key, value in node.value])
    return Item(line, [_item(each, seen, fileName) for each in node.value])
