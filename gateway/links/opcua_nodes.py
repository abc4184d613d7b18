"""Finding variables in an OPC UA server: by node id, by browse names, or by looking below a node.

Namespaces go by their URI: a server may number them otherwise after every start (OPC 10000-3, 8.2.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from asyncua import ua

PARTS: Final = 100  # nodes asked about in one request
MOST_VISITED: Final = 20_000  # nodes looked at below one root
MOST_FOUND: Final = 2_000
MOST_DEPTH: Final = 16
MOST_CONTINUED: Final = 100  # answers in pieces to one question

OBJECTS: Final = ua.NodeId(ua.ObjectIds.ObjectsFolder)
HIERARCHICAL: Final = ua.NodeId(ua.ObjectIds.HierarchicalReferences)


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no such node: a StatusCode."""

    code: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """EngineeringUnits of a variable (OPC 10000-8, 5.6.3)."""

    sign: str = ""
    number: int | None = None
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Child:
    id: ua.NodeId
    name: str
    namespace: str
    variable: bool


def split(items: Sequence[Any], size: int = PARTS) -> Iterator[Sequence[Any]]:
    """In parts a server will take."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def steps(path: str) -> list[str]:
    """The names of a browse path; "&" makes the next character part of a name (OPC 10000-4, A.2)."""
    found, name, escaped = list[str](), "", False
    for letter in path.removeprefix("/"):
        if escaped or letter not in "&/":
            name, escaped = name + letter, False
        elif letter == "&":
            escaped = True
        else:
            found.append(name)
            name = ""
    return [*found, name]


def escaped(name: str) -> str:
    """A name as it stands in a browse path."""
    return name.replace("&", "&&").replace("/", "&/")


class Nodes:
    """One session's view of the address space. Errors of every method: OSError, asyncua's UaError."""

    def __init__(self, session: Any, namespaces: Sequence[str]) -> None:
        self._session = session
        self._namespaces = list(namespaces)
        self._children: dict[ua.NodeId, list[Child]] = {}

    def forget(self) -> None:
        """What was browsed is not kept: it may be much, and it may change."""
        self._children.clear()

    async def find(self, text: str) -> ua.NodeId | Missing:
        """The node of an id or a path below Objects. Errors: ValueError."""
        if not text.startswith("/"):
            return self._by_id(text)
        at = OBJECTS
        for name in steps(text):
            (inner,) = await self._below([at])
            fits = {child.id for child in inner if child.name == name}
            if len(fits) != 1:
                many = len(fits) > 1
                code = ua.StatusCodes.BadTooManyMatches if many else ua.StatusCodes.BadNoMatch
                return Missing(code, f"{len(fits) or 'no'} nodes are called {name!r} there")
            (at,) = fits
        return at

    def _by_id(self, text: str) -> ua.NodeId | Missing:
        if not text.startswith("nsu="):
            return ua.NodeId.from_string(text)
        uri, _, rest = text[4:].partition(";")
        uri = unquote(uri)
        if uri not in self._namespaces:
            return Missing(ua.StatusCodes.BadNodeIdUnknown, f"the server has no namespace {uri}")
        return ua.NodeId.from_string(f"ns={self._namespaces.index(uri)};{rest}")

    async def look(self, root: ua.NodeId, wish: dict[str, Any]) -> tuple[dict[str, ua.NodeId], bool]:
        """The variables below `root` that a request names, by their path; and whether all of it was looked at.

        `take`: [namespace URI, browse name] of each; `skip`: names not walked into; `only`: the first level's name.
        Level by level, so that of several ways to a variable the shortest gives it its path.
        """
        take = {(str(namespace), str(name)) for namespace, name in wish.get("take", ())}
        skip, only = set(wish.get("skip", ())), wish.get("only")
        (title,) = await self._session.read_attributes([root], ua.AttributeIds.BrowseName)
        if title.Value is None or not isinstance(title.Value.Value, ua.QualifiedName):
            raise ua.UaStatusCodeError(title.StatusCode.value if title.StatusCode else ua.StatusCodes.BadNodeIdUnknown)
        found: dict[str, ua.NodeId] = {}
        seen, level = {root}, [(root, f"/{escaped(title.Value.Value.Name or '')}")]
        for depth in range(MOST_DEPTH):
            deeper: list[tuple[ua.NodeId, str]] = []
            inner = await self._below([node for node, _ in level])
            for (_node, path), children in zip(level, inner, strict=True):
                for child in children:
                    other = not depth and only is not None and child.name != only
                    if other or child.id in seen or child.name in skip:
                        continue
                    seen.add(child.id)
                    if len(seen) > MOST_VISITED or len(found) >= MOST_FOUND:
                        return found, False
                    here = f"{path}/{escaped(child.name)}"
                    if not child.variable:
                        deeper.append((child.id, here))
                    elif (child.namespace, child.name) in take:
                        found.setdefault(here, child.id)
            level = deeper
            if not level:
                return found, True
        return found, False

    async def _below(self, nodes: Sequence[ua.NodeId]) -> list[list[Child]]:
        """The objects and variables right below each node."""
        missing = [node for node in dict.fromkeys(nodes) if node not in self._children]
        for part in split(missing):
            parameters = ua.BrowseParameters()
            parameters.View = ua.ViewDescription()
            parameters.RequestedMaxReferencesPerNode = 0
            parameters.NodesToBrowse = [_question(node) for node in part]
            results = await self._session.browse(parameters)
            for node, result in zip(part, results, strict=True):
                references = list(result.References or ())
                rest = result.ContinuationPoint
                for _ in range(MOST_CONTINUED):
                    if not rest or len(references) > MOST_VISITED:
                        break
                    more = ua.BrowseNextParameters()
                    more.ContinuationPoints = [rest]
                    (answer,) = await self._session.browse_next(more)
                    references += answer.References or ()
                    rest = answer.ContinuationPoint
                self._children[node] = [child for one in references if (child := self._child(one))]
        return [self._children[node] for node in nodes]

    def _child(self, reference: Any) -> Child | None:
        name, id_ = reference.BrowseName, self._local(reference.NodeId)
        if id_ is None or not name.Name or not 0 <= name.NamespaceIndex < len(self._namespaces):
            return None
        variable = reference.NodeClass == ua.NodeClass.Variable
        return Child(id_, name.Name, self._namespaces[name.NamespaceIndex], variable)

    def _local(self, expanded: Any) -> ua.NodeId | None:
        """An id that may name its namespace by URI, as one of this server; None where it is of another."""
        if getattr(expanded, "ServerIndex", None):
            return None
        uri = getattr(expanded, "NamespaceUri", None)
        if uri and uri not in self._namespaces:
            return None
        index = self._namespaces.index(uri) if uri else expanded.NamespaceIndex
        return ua.NodeId(expanded.Identifier, index)

    async def units(self, nodes: Sequence[ua.NodeId]) -> dict[ua.NodeId, Unit]:
        """The engineering units of those that have some."""
        found: dict[ua.NodeId, Unit] = {}
        for part in split(nodes):
            answers = await self._session.translate_browsepaths_to_nodeids([_units_of(node) for node in part])
            held = {
                node: place
                for node, answer in zip(part, answers, strict=True)
                if answer.StatusCode.is_good() and answer.Targets and (place := self._local(answer.Targets[0].TargetId))
            }
            if not held:
                continue
            values = await self._session.read_attributes(list(held.values()), ua.AttributeIds.Value)
            for node, value in zip(held, values, strict=True):
                said = value.Value.Value if value.Value is not None else None
                if isinstance(said, ua.EUInformation):
                    sign = said.DisplayName.Text if said.DisplayName else None
                    found[node] = Unit((sign or "")[:64], said.UnitId, (said.NamespaceUri or "")[:200])
        return found


def _question(node: ua.NodeId) -> ua.BrowseDescription:
    question = ua.BrowseDescription()
    question.NodeId = node
    question.BrowseDirection = ua.BrowseDirection.Forward
    question.ReferenceTypeId = HIERARCHICAL
    question.IncludeSubtypes = True
    question.NodeClassMask = ua.NodeClass.Object | ua.NodeClass.Variable
    question.ResultMask = ua.BrowseResultMask.BrowseName | ua.BrowseResultMask.NodeClass
    return question


def _units_of(node: ua.NodeId) -> ua.BrowsePath:
    element = ua.RelativePathElement()
    element.ReferenceTypeId = ua.NodeId(ua.ObjectIds.HasProperty)
    element.IsInverse, element.IncludeSubtypes = False, True
    element.TargetName = ua.QualifiedName("EngineeringUnits", 0)
    path = ua.BrowsePath()
    path.StartingNode = node
    path.RelativePath.Elements = [element]
    return path


def status(code: int) -> str:
    """A StatusCode's name; what its lower half adds is left out."""
    name, text = ua.status_codes.get_name_and_doc(code & 0xFFFF0000)
    return f"{name} 0x{code:08X}" if text.startswith("Unknown") else name
