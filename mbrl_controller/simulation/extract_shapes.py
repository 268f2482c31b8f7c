# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Collision geoms of a MuJoCo model as the shapes of models/hand_geometry.py.

Of the hand, boxes, capsules and spheres are exact. Cylinders, ellipsoids and hulls of meshes become the rounded box of
the same extents and volume, which is cheap for each of the hand's surfaces. Of objects all shapes are kept; of a hull
at most MAX_PLANES planes, those that differ most.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

from mbrl_controller.base.errors import ContractError
from mbrl_controller.models.hand_geometry import MAX_PLANES, Frame, Numbers3, Solid
from mbrl_controller.tasks.spaces import Array

_SPHERE, _CAPSULE, _BOX, _CYLINDER, _ELLIPSOID, _MESH, _PLANE = (
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{kind}"))
    for kind in ("SPHERE", "CAPSULE", "BOX", "CYLINDER", "ELLIPSOID", "MESH", "PLANE")
)
_ALIKE = 1e-3  # 1 - cosine of two normals, below which their planes count as one: 2.6 degrees


def collides(model: mujoco.MjModel, geom: int) -> bool:
    """Whether the geom takes part in collisions."""
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def is_plane(model: mujoco.MjModel, geom: int) -> bool:
    """Whether the geom is an endless plane, such as a floor."""
    return int(model.geom_type[geom]) == _PLANE


def geom_pose(model: mujoco.MjModel, geom: int) -> tuple[Array, Array]:
    """Rotation [3, 3] and position [3] of the geom in its body's frame."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.geom_quat[geom])
    return matrix.reshape(3, 3), model.geom_pos[geom]


def rounded_box(model: mujoco.MjModel, geom: int) -> tuple[Numbers3, float]:
    """Half extents and radius (m) of a geom of the hand; raises ContractError for kinds without a shape."""
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind in (_SPHERE, _CAPSULE):
        return (0.0, 0.0, float(size[1]) if kind == _CAPSULE else 0.0), float(size[0])
    if kind == _BOX:
        return _numbers(size), 0.0
    if kind == _CYLINDER:
        return _of_volume(np.array([size[0], size[0], size[1]]), 2 * math.pi * size[0] ** 2 * size[1])
    if kind == _ELLIPSOID:
        return _of_volume(size, 4 / 3 * math.pi * float(np.prod(size)))
    if kind == _MESH:
        points, faces = _hull(model, geom)
        half = np.abs(model.geom_aabb[geom, 3:])
        corners = points[faces]
        volume = np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
        return _of_volume(half, float(volume))
    raise _unknown(model, geom)


def shape_centre(model: mujoco.MjModel, geom: int) -> Array:
    """Centre [3] of `rounded_box` in the geom's frame: a mesh's is not its origin."""
    return model.geom_aabb[geom, :3] if int(model.geom_type[geom]) == _MESH else np.zeros(3)


def ball_radius(model: mujoco.MjModel, body: int, name: str) -> float:
    """Radius (m) of an object that is one ball around its origin; raises ContractError for any other."""
    geoms = _geoms(model, body)
    if len(geoms) != 1 or int(model.geom_type[geoms[0]]) != _SPHERE or model.geom_pos[geoms[0]].any():
        raise ContractError(
            f"contact features: {name} is no ball, and the state does not say how it is turned: add its orientation "
            f"to the task's state ({name}.orientation.x_axis.x, ...)"
        )
    return float(model.geom_size[geoms[0], 0])


def object_solids(model: mujoco.MjModel, body: int, name: str) -> list[Solid]:
    """The collision geoms of a free body; raises ContractError if there are none, or kinds without a shape."""
    solids = [_solid(model, geom, name) for geom in _geoms(model, body)]
    if not solids:
        raise ContractError(f"contact features: {name} has no shape that collides")
    return solids


def _solid(model: mujoco.MjModel, geom: int, name: str) -> Solid:
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    frame = Frame.of(*geom_pose(model, geom))
    if kind in (_SPHERE, _CAPSULE, _BOX):
        half, radius = rounded_box(model, geom)
        return Solid(name=name, kind="box", frame=frame, half=half, radius=radius)
    if kind == _CYLINDER:
        return Solid(name=name, kind="cylinder", frame=frame, half=_numbers([size[0], size[0], size[1]]))
    if kind == _ELLIPSOID:
        return Solid(name=name, kind="ellipsoid", frame=frame, half=_numbers(size))
    if kind == _MESH:
        points, faces = _hull(model, geom)
        rotation, position = geom_pose(model, geom)
        centre = shape_centre(model, geom)
        frame = Frame.of(rotation, position + rotation @ centre)
        planes = _planes(points - centre, faces)
        half = np.abs(model.geom_aabb[geom, 3:])
        return Solid(name=name, kind="hull", frame=frame, half=_numbers(half), planes=planes)
    raise _unknown(model, geom)


def _geoms(model: mujoco.MjModel, body: int) -> list[int]:
    first = int(model.body_geomadr[body])
    return [geom for geom in range(first, first + int(model.body_geomnum[body])) if collides(model, geom)]


def _of_volume(extents: Array, volume: float) -> tuple[Numbers3, float]:
    """The rounded box with these half extents, radius included, and at most this volume (m³)."""
    low, high = 0.0, float(np.min(extents))
    for _ in range(50):  # the volume falls with the radius
        radius = (low + high) / 2
        a, b, c = extents - radius
        rounded = 8 * a * b * c + 8 * (a * b + b * c + c * a) * radius
        rounded += 2 * math.pi * (a + b + c) * radius**2 + 4 / 3 * math.pi * radius**3
        low, high = (radius, high) if rounded > volume else (low, radius)
    return _numbers(np.maximum(extents - high, 0.0)), high


def _hull(model: mujoco.MjModel, geom: int) -> tuple[Array, Array]:
    """Vertices [V, 3] (m, the geom's frame) and outward triangles [F, 3] of a mesh's convex hull."""
    mesh = int(model.geom_dataid[geom])
    begin = int(model.mesh_graphadr[mesh])
    if begin < 0:
        raise _unknown(model, geom)
    graph = model.mesh_graph[begin:]
    vertices, count = int(graph[0]), int(graph[1])  # then two lists of `vertices`, one of vertices + 3 count
    at = 2 + 3 * vertices + 3 * count
    faces = graph[at : at + 3 * count].reshape(-1, 3)
    first = int(model.mesh_vertadr[mesh])
    points = model.mesh_vert[first : first + int(model.mesh_vertnum[mesh])].astype(float)
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = np.einsum("ij,ij->i", normals, corners[:, 0] - points[np.unique(faces)].mean(0)) < 0
    faces = np.where(inward[:, None], faces[:, ::-1], faces)
    return points, faces


def _planes(points: Array, faces: Array) -> tuple[tuple[float, float, float, float], ...]:
    """Outward unit normal and distance of planes that the hull lies behind: of faces, of sharp edges, of vertices.

    The faces' planes make the hull; those that touch it at an edge or vertex let a projection end there at once.
    """
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1, keepdims=True)
    faces, normals = faces[areas[:, 0] > 0], normals[areas[:, 0] > 0] / areas[areas[:, 0] > 0]
    beside = {(int(a), int(b)): i for i, face in enumerate(faces) for a, b in zip(face, np.roll(face, -1), strict=True)}
    edges = [normals[i] + normals[beside[b, a]] for (a, b), i in beside.items() if a < b and (b, a) in beside]
    vertices = [normals[(faces == v).any(1)].sum(0) for v in np.unique(faces)]
    chosen: list[Array] = []
    for candidates in (normals, np.array(edges), np.array(vertices)):
        units = candidates / np.maximum(np.linalg.norm(candidates, axis=1, keepdims=True), 1e-9)
        apart = np.full(len(units), 2.0)
        for normal in chosen:
            apart = np.minimum(apart, 1 - units @ normal)
        while len(chosen) < MAX_PLANES and apart.max() > _ALIKE:
            chosen.append(units[int(np.argmax(apart))])
            apart = np.minimum(apart, 1 - units @ chosen[-1])
    kept = np.array(chosen)
    distances = (points[np.unique(faces)] @ kept.T).max(0)
    return tuple((float(x), float(y), float(z), float(d)) for (x, y, z), d in zip(kept, distances, strict=True))


def _numbers(values: Array | list[float]) -> Numbers3:
    x, y, z = map(float, values)
    return x, y, z


def _unknown(model: mujoco.MjModel, geom: int) -> ContractError:
    name = model.body(int(model.geom_bodyid[geom])).name
    return ContractError(f"contact features: a collision shape of body {name!r} is not of a kind that has distances")
