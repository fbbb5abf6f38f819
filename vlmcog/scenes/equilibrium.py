"""Whether a scene can rest: static equilibrium by linear programming on contact forces.

A scene can rest if forces exist at its contacts that push and don't pull, stay within Coulomb's friction cones, and
balance every loose block's weight and moments (Livesley 1978, "Limit analysis of structures formed from rigid blocks").
Where blocks touch along a face the forces act at the corners of the overlap, from which any distribution over it can
be composed. Cones are pyramids of `FACETS` sides within the round cone, so "yes" is safe and "no" errs by at most
8 % of the friction.

It is a second opinion on the simulator: it shares no code with it, knows no time steps and no softness. Where forces
are not determined by statics (a block on three others) it asks for any that balance. What it doesn't see: a contact of
two edges, of which samplers make none, and motion from an unstable equilibrium: it calls a ball on a ball a rest.
"""

import bisect
import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.optimize
import scipy.sparse

from vlmcog.scenes.geometry import rotation_matrix
from vlmcog.scenes.physics import FRICTION, mass
from vlmcog.scenes.scene import BOX, CYLINDER, SPHERE, Block

FACETS = 8
LARGEST_MARGIN = 0.5
_GAP = 1e-4
"""Blocks touch where they are nearer than this share of the smaller one's smallest side."""
_DISC_EDGES = 24
_LEVEL = 1e-6
_ROUNDING = 1e-9
_GROUND = -1
_NEXT, _LAST = [1, 2, 0], [2, 0, 1]


@dataclasses.dataclass(frozen=True)
class _Region:
    """A convex set in a plane, {x: edges @ x <= limits}; `grows` is 0 where an edge stays put as the set grows."""

    edges: np.ndarray
    limits: np.ndarray
    grows: np.ndarray

    def __and__(self, other: "_Region") -> "_Region":
        return _Region(*(np.concatenate([getattr(r, f.name) for r in (self, other)]) for f in dataclasses.fields(self)))

    def corners(self, growth: float) -> np.ndarray:
        """Returns the corners [k, 2] of the set with its edges moved outwards by `growth` metres; none if empty."""
        limits = self.limits + growth * self.grows
        first, second = np.triu_indices(len(limits), 1)
        (a, b), (c, d) = self.edges[first].T, self.edges[second].T
        determinant = a * d - b * c
        crossing = np.abs(determinant) > _ROUNDING
        x = (d * limits[first] - b * limits[second])[crossing] / determinant[crossing]
        y = (a * limits[second] - c * limits[first])[crossing] / determinant[crossing]
        points = np.stack([x, y], -1)
        inside = (points @ self.edges.T <= limits + _ROUNDING).all(-1)
        return np.unique(points[inside].round(9), axis=0)


@dataclasses.dataclass(frozen=True)
class _Face:
    """A flat face: a point on it, its outward normal, and its corners [k, 3] (a plane without end has none)."""

    origin: np.ndarray
    normal: np.ndarray
    corners: np.ndarray | None = None

    @functools.cached_property
    def axes(self) -> np.ndarray:
        """Two unit vectors [2, 3] across the normal and each other."""
        first = _cross(self.normal, np.eye(3)[np.abs(self.normal).argmin()])
        first /= np.linalg.norm(first)
        return np.stack([first, _cross(self.normal, first)])

    @functools.cached_property
    def outline(self) -> _Region | None:
        return None if self.corners is None else _hull((self.corners - self.origin) @ self.axes.T)


@dataclasses.dataclass(frozen=True)
class Contact:
    """Where two blocks touch, pushing block `upper` along `normal` and block `lower` (-1: the ground) against it.

    Attributes:
      lower: an index of a block, or -1.
      upper: an index of a block.
      face: the plane of the contact.
      region: the points of it where the blocks touch.
      side: the length in metres that its growth is a share of.
    """

    lower: int
    upper: int
    face: _Face
    region: _Region
    side: float

    def points(self, growth: float) -> np.ndarray:
        """Returns the corners [k, 3] of the contact grown by a share of the side, none where it is lost."""
        return self.face.origin + self.region.corners(growth * self.side) @ self.face.axes


def in_equilibrium(blocks: Sequence[Block], *, growth: float = 0.0, friction: float = FRICTION) -> bool:
    """Returns whether forces exist that keep the blocks at rest.

    Args:
      blocks: on the ground z = 0, on each other, or fixed.
      growth: by how much every contact's edges are moved outwards first, in block sides; negative shrinks them.
      friction: the coefficient of sliding friction.
    """
    return _balances(blocks, contacts(blocks), growth, friction)


def equilibrium_margin(blocks: Sequence[Block], *, tolerance: float = 0.005, friction: float = FRICTION) -> float:
    """Returns by how much contacts can shrink with the scene still at rest, in block sides.

    Negative is by how much they would have to grow for it to rest. For a column it is the static margin of
    `statics.py`, with the ground as one more joint. Points don't shrink, and lines only at their ends. Found by
    bisection to `tolerance`, within `LARGEST_MARGIN` of zero.
    """
    steps = round(2 * LARGEST_MARGIN / (2 * tolerance))
    levels = np.linspace(-LARGEST_MARGIN, LARGEST_MARGIN, steps + 1)
    held = levels_held(blocks, levels[1:-1].tolist(), friction=friction)
    return float((levels[held] + levels[held + 1]) / 2)


def levels_held(blocks: Sequence[Block], levels: Sequence[float], *, friction: float = FRICTION) -> int:
    """Returns how many of these rising levels the equilibrium margin reaches: to know only that is cheaper.

    Most scenes reach none or all of them, so that the ends are tried first.
    """
    touching = contacts(blocks)

    def is_lost(level: float) -> bool:
        return not _balances(blocks, touching, -level, friction)

    if is_lost(levels[0]):
        return 0
    if not is_lost(levels[-1]):
        return len(levels)
    return bisect.bisect_left(levels, True, key=is_lost)


def contacts(blocks: Sequence[Block]) -> list[Contact]:
    """Returns where the blocks touch each other and the ground; of two fixed ones it is of no interest."""
    found = [
        contact
        for upper, block in enumerate(blocks)
        if not block.fixed
        for contact in _on_faces(_GROUND, [_ground()], upper, block, min(block.size[:2]))
    ]
    faces = [_faces(block) for block in blocks]
    for first, second in itertools.combinations(range(len(blocks)), 2):
        if not (blocks[first].fixed and blocks[second].fixed) and _are_near(blocks[first], blocks[second]):
            found += _between(blocks, faces, first, second)
    return found


def _between(blocks: Sequence[Block], faces: Sequence[list[_Face]], first: int, second: int) -> list[Contact]:
    """A ball touches at its nearest point; of others, one has a face that the other lies on."""
    side = min(blocks[first].size[:2] + blocks[second].size[:2])
    for lower, upper in ((first, second), (second, first)):
        is_ball = blocks[upper].shape == SPHERE
        planes = _tangent_plane(blocks[lower], blocks[upper]) if is_ball else faces[lower]
        found = list(_on_faces(lower, planes, upper, blocks[upper], side))
        if found or is_ball:
            return found
    return []


def _on_faces(lower: int, faces: Sequence[_Face], upper: int, block: Block, side: float) -> Iterator[Contact]:
    for face in faces:
        region = _touching_region(block, face) if (block.position - face.origin) @ face.normal > 0 else None
        if region is not None:
            yield Contact(lower, upper, face, region if face.outline is None else region & face.outline, side)


def _touching_region(block: Block, face: _Face) -> _Region | None:
    """The part of the block that lies in the face's plane, with the rest of it beyond."""
    points = _extreme_points(block, -face.normal)
    if abs((points[0] - face.origin) @ face.normal) > _GAP * min(block.size):
        return None
    return _hull((points - face.origin) @ face.axes.T)


def _extreme_points(block: Block, direction: np.ndarray) -> np.ndarray:
    """The corners [k, 3] of the part of a block that reaches furthest in a direction (world coordinates)."""
    rotation = rotation_matrix(block.orientation)
    half = np.asarray(block.size) / 2
    local = direction @ rotation
    if block.shape == SPHERE:
        points = half[0] * local[None]
    elif block.shape == CYLINDER:
        points = _extreme_points_of_cylinder(half, local)
    else:
        points = _box_corners(np.where(np.abs(local) > _LEVEL, np.sign(local), 0.0)) * half
    return points @ rotation.T + np.asarray(block.position)


def _box_corners(signs: np.ndarray) -> np.ndarray:
    """All ways to write +-1 for the zeros of three signs, in turn around the face where two are zero."""
    return np.array(list(itertools.product(*([sign] if sign else [-1.0, 1.0] for sign in signs))))


def _extreme_points_of_cylinder(half: np.ndarray, local: np.ndarray) -> np.ndarray:
    across = np.hypot(local[0], local[1])
    if across < _LEVEL:
        return _disc(half[0], half[2] * np.sign(local[2]))
    rim = half[0] * local[:2] / across
    heights = [half[2] * np.sign(local[2])] if abs(local[2]) > _LEVEL else [-half[2], half[2]]
    return np.array([[*rim, height] for height in heights])


def _disc(radius: float, height: float) -> np.ndarray:
    angles = 2 * np.pi * np.arange(_DISC_EDGES) / _DISC_EDGES
    return np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(_DISC_EDGES, height)], -1)


def _hull(points: np.ndarray) -> _Region:
    """The convex hull of a point, the two ends of a line, or the corners [k, 2] of a convex polygon in any order."""
    if len(points) == 1:
        edges = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        return _Region(edges, edges @ points[0], np.zeros(4))
    if len(points) == 2:
        along = (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
        across = np.array([-along[1], along[0]])
        edges = np.stack([along, -along, across, -across])
        return _Region(edges, (points @ edges.T).max(0), np.array([1.0, 1.0, 0.0, 0.0]))
    centre = points.mean(0)
    ring = points[np.argsort(np.arctan2(*(points - centre).T[::-1]))]
    along = np.roll(ring, -1, 0) - ring
    edges = np.stack([along[:, 1], -along[:, 0]], -1) / np.linalg.norm(along, axis=-1, keepdims=True)
    return _Region(edges, (edges * ring).sum(-1), np.ones(len(ring)))


def _faces(block: Block) -> list[_Face]:
    """A box's six faces, a cylinder's two ends, and none of a ball."""
    if block.shape == SPHERE:
        return []
    rotation = rotation_matrix(block.orientation)
    axes = rotation.T if block.shape == BOX else rotation.T[2:]
    return [_face(block, sign * axis) for axis in axes for sign in (-1, 1)]


def _face(block: Block, normal: np.ndarray) -> _Face:
    corners = _extreme_points(block, normal)
    return _Face(corners.mean(0), normal, corners)


def _ground() -> _Face:
    return _Face(np.zeros(3), np.array([0.0, 0.0, 1.0]))


def _tangent_plane(block: Block, ball: Block) -> list[_Face]:
    """The plane that touches a block at its point nearest to a ball outside it."""
    nearest = _nearest_point(block, np.asarray(ball.position))
    away = np.asarray(ball.position) - nearest
    distance = np.linalg.norm(away)
    if distance < _ROUNDING:
        return []
    return [_Face(nearest, away / distance)]


def _nearest_point(block: Block, point: np.ndarray) -> np.ndarray:
    rotation = rotation_matrix(block.orientation)
    half = np.asarray(block.size) / 2
    local = (point - np.asarray(block.position)) @ rotation
    if block.shape == SPHERE:
        nearest = local * half[0] / np.linalg.norm(local)
    elif block.shape == CYLINDER:
        across = np.linalg.norm(local[:2])
        nearest = np.append(
            local[:2] * min(1.0, half[0] / max(across, _ROUNDING)), np.clip(local[2], -half[2], half[2])
        )
    else:
        nearest = np.clip(local, -half, half)
    return rotation @ nearest + np.asarray(block.position)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """np.cross for the last axis, without the overhead that would be most of the time spent here."""
    return a[..., _NEXT] * b[..., _LAST] - a[..., _LAST] * b[..., _NEXT]


def _are_near(first: Block, second: Block) -> bool:
    reach = (np.linalg.norm(first.size) + np.linalg.norm(second.size)) / 2
    return bool(np.linalg.norm(np.subtract(first.position, second.position)) < reach)


def _balances(blocks: Sequence[Block], touching: Sequence[Contact], growth: float, friction: float) -> bool:
    """Solves for forces along the edges of the friction pyramids, in units of the mean weight and the mean size."""
    loose = [index for index, block in enumerate(blocks) if not block.fixed]
    if not loose:
        return True
    columns = [_wrenches(contact, blocks, growth, friction) for contact in touching]
    columns = [column for column in columns if column.size]
    if not columns:
        return False
    weights = np.array([mass(blocks[index]) for index in loose])
    down = np.zeros((len(loose), 6))
    down[:, 2] = weights / weights.mean()
    matrix = np.concatenate(columns, -1)[loose].reshape(len(loose) * 6, -1)
    solution = scipy.optimize.linprog(
        np.zeros(matrix.shape[1]), A_eq=scipy.sparse.csc_array(matrix), b_eq=down.ravel(), method="highs"
    )
    return solution.status == 0


def _wrenches(contact: Contact, blocks: Sequence[Block], growth: float, friction: float) -> np.ndarray:
    """Force and moment on each block [block, 6, k] of a unit push along each edge of the pyramid at each corner."""
    points = contact.points(growth)
    angles = 2 * np.pi * np.arange(FACETS) / FACETS
    sideways = np.stack([np.cos(angles), np.sin(angles)], -1) @ contact.face.axes
    pushes = np.tile(contact.face.normal + friction * sideways, (len(points), 1))
    points = np.repeat(points, FACETS, 0)
    scale = np.mean([block.size for block in blocks])
    wrenches = np.zeros((len(blocks), 6, len(points)))
    for index, sign in ((contact.upper, 1.0), (contact.lower, -1.0)):
        if index != _GROUND:
            moments = _cross((points - blocks[index].position) / scale, pushes)
            wrenches[index] = sign * np.concatenate([pushes, moments], -1).T
    return wrenches
