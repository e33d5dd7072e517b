"""The notes on a dataset that reports show: a small expression from the configuration, which is read and never run.

It looks like Python, as in portals that used ckanext-report before::

    ' '.join(('Unpublished' if asbool(pkg.extras.get('unpublished')) else '', pkg.version))

What there is: texts, numbers, ``True``, ``False`` and ``None``; fields of the dataset (``pkg.title``) and its extras
(``pkg.extras.get('key')``, ``pkg.extras['key']``); ``a if b else c``, ``and``, ``or``, ``not``, comparisons, ``in``,
``+``, tuples and lists; ``asbool(x)``; ``'text'.join((…))``; and ``strip()``, ``lower()``, ``upper()`` and ``title()``
of a text. Everything else is refused.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, items: items is not None and item in items,
    ast.NotIn: lambda item, items: items is None or item not in items,
}
_TEXT_METHODS = ("strip", "lower", "upper", "title")
_TRUE = ("true", "yes", "on", "y", "t", "1")
_LONGEST = 2000


class NotesError(ValueError):
    """The expression holds something that is not understood; the text says what."""


@dataclass(frozen=True)
class _Dataset:
    fields: Mapping[str, Any]
    extras: Mapping[str, Any]


Meaning = Callable[[_Dataset], Any]


@dataclass(frozen=True)
class Notes:
    """An expression that was understood."""

    _meaning: Meaning

    def of(self, fields: Mapping[str, Any], extras: Mapping[str, Any]) -> str:
        """Return the notes on a dataset. What goes wrong with it, such as ``None + 'text'``, leaves them empty.

        :param fields: the columns of the dataset
        """
        try:
            value = self._meaning(_Dataset(fields, extras))
        except (TypeError, KeyError):
            return ""
        return "" if value is None else str(value)


def understand(expression: str, fields: frozenset[str]) -> Notes:
    """Return the notes that an expression describes; an empty one describes empty notes.

    :param fields: names of the columns of a dataset
    :raises NotesError: there is something in it that is not understood
    """
    if not expression.strip():
        return Notes(lambda dataset: "")
    if len(expression) > _LONGEST:
        raise NotesError(f"it is longer than {_LONGEST} characters")
    try:
        return Notes(_Reader(fields).meaning(ast.parse(expression.strip(), mode="eval").body))
    except NotesError:
        raise
    except (SyntaxError, ValueError, RecursionError) as error:
        raise NotesError(f"it is not an expression: {error}") from None


class _Reader:
    """Turns each part of an expression into a function of the dataset."""

    def __init__(self, fields: frozenset[str]) -> None:
        self.fields = fields

    def meaning(self, node: ast.expr) -> Meaning:
        read = getattr(self, f"_{type(node).__name__.lower()}", None)
        if read is None:
            raise NotesError(f"{ast.unparse(node)!r} is not allowed in it")
        found: Meaning = read(node)
        return found

    def _constant(self, node: ast.Constant) -> Meaning:
        if not isinstance(node.value, (str, int, float, bool, type(None))):
            raise NotesError(f"{ast.unparse(node)!r} is not allowed in it")
        return lambda dataset: node.value

    def _tuple(self, node: ast.Tuple | ast.List) -> Meaning:
        items = [self.meaning(item) for item in node.elts]
        return lambda dataset: [item(dataset) for item in items]

    _list = _tuple

    def _ifexp(self, node: ast.IfExp) -> Meaning:
        test, then, otherwise = (self.meaning(part) for part in (node.test, node.body, node.orelse))
        return lambda dataset: then(dataset) if test(dataset) else otherwise(dataset)

    def _boolop(self, node: ast.BoolOp) -> Meaning:
        parts = [self.meaning(part) for part in node.values]
        stops_at = isinstance(node.op, ast.Or)

        def value(dataset: _Dataset) -> Any:
            found = None
            for part in parts:
                found = part(dataset)
                if bool(found) is stops_at:
                    break
            return found

        return value

    def _unaryop(self, node: ast.UnaryOp) -> Meaning:
        if not isinstance(node.op, ast.Not):
            raise NotesError(f"{ast.unparse(node)!r} is not allowed in it")
        part = self.meaning(node.operand)
        return lambda dataset: not part(dataset)

    def _compare(self, node: ast.Compare) -> Meaning:
        if len(node.ops) > 1:
            raise NotesError(f"{ast.unparse(node)!r} compares more than two values")
        left, right = self.meaning(node.left), self.meaning(node.comparators[0])
        compare = _COMPARISONS[type(node.ops[0])]
        return lambda dataset: compare(left(dataset), right(dataset))

    def _binop(self, node: ast.BinOp) -> Meaning:
        if not isinstance(node.op, ast.Add):
            raise NotesError(f"{ast.unparse(node)!r} is not allowed in it")
        left, right = self.meaning(node.left), self.meaning(node.right)
        return lambda dataset: left(dataset) + right(dataset)

    def _attribute(self, node: ast.Attribute) -> Meaning:
        if not _is_pkg(node.value) or node.attr not in self.fields:
            raise NotesError(f"{ast.unparse(node)!r} is no field of a dataset")
        return lambda dataset: dataset.fields.get(node.attr)

    def _subscript(self, node: ast.Subscript) -> Meaning:
        if not _is_extras(node.value):
            raise NotesError(f"{ast.unparse(node)!r} is not allowed in it")
        key = self.meaning(node.slice)
        return lambda dataset: dataset.extras[key(dataset)]

    def _call(self, node: ast.Call) -> Meaning:
        if node.keywords:
            raise NotesError(f"{ast.unparse(node)!r} is not allowed in it")
        arguments = [self.meaning(argument) for argument in node.args]
        if isinstance(node.func, ast.Name) and node.func.id == "asbool" and len(arguments) == 1:
            return lambda dataset: _as_bool(arguments[0](dataset))
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func, arguments)
        raise NotesError(f"{ast.unparse(node)!r} is not allowed in it")

    def _method(self, node: ast.Call, method: ast.Attribute, arguments: list[Meaning]) -> Meaning:
        if _is_extras(method.value) and method.attr == "get" and len(arguments) in (1, 2):
            return lambda dataset: dataset.extras.get(*(argument(dataset) for argument in arguments))
        if method.attr == "join" and len(arguments) == 1 and isinstance(method.value, ast.Constant):
            between = self.meaning(method.value)
            return lambda dataset: str(between(dataset)).join(
                "" if item is None else str(item) for item in arguments[0](dataset)
            )
        if method.attr in _TEXT_METHODS and not arguments:
            text = self.meaning(method.value)
            return lambda dataset: getattr(str(text(dataset) or ""), method.attr)()
        raise NotesError(f"{ast.unparse(node)!r} is not allowed in it")


def _is_pkg(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "pkg"


def _is_extras(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "extras" and _is_pkg(node.value)


def _as_bool(value: Any) -> bool:
    return value.strip().lower() in _TRUE if isinstance(value, str) else bool(value)
