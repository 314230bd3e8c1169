"""One step of a map in a plane of state space: the plane, the flow in it, the fixed points near it, and the figure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.percent import percent
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY

if TYPE_CHECKING:
    import plotly.graph_objects as go

ARROWS = 21  # along the longer side
HEAD = 0.38  # of an arrow's length


@dataclass(frozen=True)
class Plane:
    """A plane in state space.

    Attributes:
        origin: the point of the plane with coordinates 0, 0.
        directions: the two axes of the plane, orthonormal.
        axis_names: of the two directions.
    """

    origin: Float[np.ndarray, " unit"]
    directions: Float[np.ndarray, "direction unit"]
    axis_names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The axes, with what both are made of named once."""
        first, second = (name.split(" of ", 1) for name in self.axis_names)
        if len(first) == len(second) == 2 and first[1] == second[1]:
            return f"{first[0]}-{second[0]} plane of {first[1]}"
        return f"plane of {' and '.join(self.axis_names)}"

    def project(self, states: Float[np.ndarray, "*batch unit"]) -> Float[np.ndarray, "*batch 2"]:
        """Other states in the coordinates of the plane."""
        return (states - self.origin) @ self.directions.T


@dataclass(frozen=True)
class PointsBeside:
    """The fixed points at the held input, as they are seen from a plane; none where none were given.

    Attributes:
        coordinates: in the plane.
        distance: from the plane, in units of the state.
        n_unstable: unstable directions of each; -1 at a kink of the map, where eigenvalues decide nothing.
        n_elsewhere: fixed points that were given but are so at another input; they are left out.
        near: distance up to which a fixed point is drawn.
        number: the row of each in the list of fixed points; None in a result of a version that did not keep it.
    """

    coordinates: Float[np.ndarray, "point direction"] = field(metadata={FORMERLY: "fixed_points"})
    distance: Float[np.ndarray, " point"] = field(metadata={FORMERLY: "fixed_distance"})
    n_unstable: Int64[np.ndarray, " point"]
    n_elsewhere: int
    near: float
    number: Int64[np.ndarray, " point"] | None = field(default=None, metadata={FORMERLY: None})


@dataclass(frozen=True, repr=False)
class FlowField(Result):
    """One step of a map from the points of a grid in a plane.

    Attributes:
        x, y: coordinates of the grid along the two directions of the plane, in units of the state.
        flow: the step F(h) - h along each of the two directions; NaN where it is not finite.
        out_of_plane: length of what is left of the step, at right angles to the plane.
        inside: whether the state is one that the network can be in (its `domain`), and the step from it is finite.
        out_of_plane_share: of the squared length of all steps inside.
        input: the input that was held; empty for a map that takes none.
        plane: where it lies in state space.
        points: the fixed points beside it.
        made: how it was found.
    """

    rows: ClassVar[str] = "point"

    x: Float[np.ndarray, " x"]
    y: Float[np.ndarray, " y"]
    flow: Float[np.ndarray, "y x direction"]
    out_of_plane: Float[np.ndarray, "y x"]
    inside: Bool[np.ndarray, "y x"]
    out_of_plane_share: float
    input: Float[np.ndarray, " input"]
    plane: Plane
    points: PointsBeside
    made: Made | None = None

    @property
    def speed(self) -> Float[np.ndarray, "y x"]:
        """Length of the whole step, in and out of the plane, in units of the state per step."""
        return np.sqrt((self.flow**2).sum(2) + self.out_of_plane**2)

    @property
    def drawn(self) -> Bool[np.ndarray, " point"]:
        """Which fixed points are near the plane, and within the view."""
        low, high = (np.array([self.x[k], self.y[k]]) for k in (0, -1))
        places = self.points.coordinates
        return ((places >= low) & (places <= high)).all(1) & (self.points.distance <= self.points.near)

    def nullcline(self, direction: int) -> Float[np.ndarray, "crossing 2"]:
        """Where the flow along a direction (0 or 1) is 0: coordinates of its crossings of the grid's lines, by linear
        interpolation. Where these curves cross, the flow within the plane stands still; the state does so only where
        nothing leads out of the plane either."""
        values = np.where(self.inside, self.flow[..., direction], np.nan)
        x, y = np.meshgrid(self.x, self.y)
        places = np.stack([x, y], -1)
        found = []
        for a, b, p, q in (
            (values[:, :-1], values[:, 1:], places[:, :-1], places[:, 1:]),
            (values[:-1], values[1:], places[:-1], places[1:]),
        ):
            crosses = (a * b < 0) | ((a == 0) & np.isfinite(b))
            way = a[crosses] / (a[crosses] - b[crosses] + (a[crosses] == b[crosses]))
            found.append(p[crosses] + way[:, None] * (q - p)[crosses])
        return np.unique(np.concatenate(found), axis=0)

    def headline(self) -> dict[str, float | int]:
        """How much of the squared flow leads out of the plane, the median speed of the points inside, and how many
        fixed points are near."""
        speed = self.speed[self.inside]
        return {
            "out_of_plane_share": float(self.out_of_plane_share),
            "median_speed": float(np.median(speed)) if len(speed) else np.nan,
            "n_near": int(self.drawn.sum()),
        }

    def summary(self) -> str:
        speed = self.speed[self.inside]
        size = f"{len(self.x)} x {len(self.y)} points"
        if not len(speed):
            return f"none of the {size} of this plane is a state that the network can be in"
        close, n_points, n_elsewhere = int(self.drawn.sum()), len(self.points.distance), self.points.n_elsewhere
        points = f"; {close} of {n_points} fixed points within {self.points.near:.3g} of it" * bool(n_points)
        points += f"; {n_elsewhere} fixed points at other inputs left out" * bool(n_elsewhere)
        outside = f", {percent(1 - self.inside.mean())} of them outside the network's domain" * (not self.inside.all())
        return (
            f"flow on {size}{outside} in the {self.plane.name}: "
            f"{percent(self.out_of_plane_share, 1)} of the squared flow leads out of the plane; "
            f"speed {speed.min():.2g} to {speed.max():.2g} per step{points}"
        )

    def figure(self) -> "go.Figure":
        """Speed as colour, arrows along the flow in the plane, its nullclines, and the fixed points near."""
        return _figure(self)


def _figure(found: FlowField) -> "go.Figure":
    from rnnscope.figures import SEQUENTIAL, mark_as_saying_little, new_figure

    share = found.out_of_plane_share
    title = (
        f"Flow in a plane; {percent(share)} of it leads out of the plane" if found.inside.any() else "Flow in a plane"
    )
    figure = new_figure(title, *found.plane.axis_names)
    speed = np.where(found.inside, found.speed, np.nan)
    if (speed > 0).any():
        # Of a fixed point on the grid the logarithm knows no end: five decades are enough.
        top = np.log10(np.nanmax(speed))
        bottom = max(np.log10(np.min(speed[speed > 0])), top - 5)
        speed = np.maximum(speed, 10**bottom)
        ticks = _ticks(bottom, top)
        figure.add_heatmap(
            x=found.x,
            y=found.y,
            z=np.log10(speed),
            zmin=bottom,
            zmax=top,
            zsmooth="best" if np.isfinite(speed).all() else False,
            colorscale=SEQUENTIAL,
            colorbar={
                "title": {"text": "speed |F(h) − h| (per step)", "side": "right"},
                "tickvals": np.log10(ticks).tolist(),
                "ticktext": [f"{tick:g}" for tick in ticks],
                "thickness": 16,
            },
            hovertemplate="%{x:.3g}, %{y:.3g}<br>log₁₀ speed %{z:.2f}<extra></extra>",
        )
    _add_arrows(figure, found)
    for direction, dash in ((0, "solid"), (1, "dash")):
        values = np.where(found.inside, found.flow[..., direction], np.nan)
        known = values[np.isfinite(values)]
        if known.size and known.min() < 0 < known.max():
            figure.add_contour(
                x=found.x,
                y=found.y,
                z=values,
                contours={"start": 0, "end": 0, "size": 1, "coloring": "none"},
                line={"color": "#D55E00", "width": 2.5, "dash": dash},
                showscale=False,
                showlegend=True,
                name=f"no flow along {'first' if direction == 0 else 'second'} axis",
                hoverinfo="skip",
            )
    _add_points(figure, found)
    if not found.inside.all():
        blank = "no state of the network lies in this view"
        text = "blank: no state of the network" if found.inside.any() else blank
        if not found.inside.any():
            mark_as_saying_little(figure, f"{blank.capitalize()}.")
        figure.add_annotation(
            text=text, xref="paper", yref="paper", x=0.99, y=0.01, xanchor="right", yanchor="bottom", showarrow=False,
            bgcolor="rgba(255,255,255,0.8)", font={"size": 12},
        )  # fmt: skip
    (left, right), (bottom, top) = _view(found)
    figure.update_xaxes(range=[left, right], constrain="domain", constraintoward="right", showgrid=False)
    figure.update_yaxes(range=[bottom, top], scaleanchor="x", constrain="domain", constraintoward="top", showgrid=False)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"}, margin={"b": 110})
    return figure


def _view(found: FlowField) -> tuple[tuple[float, float], tuple[float, float]]:
    """The part of the grid where the network has states, with the fixed points that are drawn: what is blank all round
    is left out."""
    whole = (float(found.x[0]), float(found.x[-1])), (float(found.y[0]), float(found.y[-1]))
    if not found.inside.any() or found.inside.all():
        return whole
    limits = []
    for axis, grid in enumerate((found.x, found.y)):
        used = grid[found.inside.any(axis)]
        places = np.concatenate([used, found.points.coordinates[found.drawn, axis]])
        step = grid[1] - grid[0]
        room = 0.04 * float(np.ptp(places)) + step
        limits.append(
            (max(float(places.min()) - room, whole[axis][0]), min(float(places.max()) + room, whole[axis][1]))
        )
    return limits[0], limits[1]


def _ticks(bottom: float, top: float) -> list[float]:
    """1, 2 and 5 of each decade, or the decades alone where they are many."""
    decades = range(int(np.floor(bottom)), int(np.ceil(top)) + 1)
    digits = (1, 2, 5) if top - bottom < 1.5 else (1, 3) if top - bottom < 3 else (1,)
    ticks = [d * 10.0**k for k in decades for d in digits if bottom - 1e-9 <= np.log10(d * 10.0**k) <= top + 1e-9]
    if len(ticks) >= 3:
        return ticks
    # Over less than that: multiples of the smallest round step of which not more than six fit.
    low, high = 10.0**bottom, 10.0**top
    tiny = 10.0 ** np.floor(np.log10(max((high - low) / 6, 1e-12 * high)))
    step = next(d * tiny for d in (1, 2, 5, 10, 20) if (high - low) / (d * tiny) <= 5)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)] or [float(f"{low:.3g}")]


def _add_arrows(figure: "go.Figure", found: FlowField) -> None:
    """Arrows of one length: how fast is what the colour says."""
    stride = max(1, round(max(len(found.x), len(found.y)) / ARROWS))
    rows, columns = (np.arange(n // 2 % stride, n, stride) for n in (len(found.y), len(found.x)))
    x, y = np.meshgrid(found.x[columns], found.y[rows])
    flow = found.flow[np.ix_(rows, columns)]
    length = np.linalg.norm(flow, axis=2)
    # Nothing has a direction where the flow within the plane is rounding.
    moves = found.inside[np.ix_(rows, columns)] & (length > 1e-9 * max(np.nanmax(found.speed), 1e-300))
    if not moves.any():
        return
    unit = flow[moves] / length[moves][:, None]
    cell = stride * (found.x[1] - found.x[0])
    middle = np.stack([x[moves], y[moves]], 1)
    tail, tip = middle - 0.38 * cell * unit, middle + 0.38 * cell * unit
    size = HEAD * 0.76 * cell
    gap = np.full_like(tip, np.nan)
    sides = [tip - size * (unit @ _turn(angle).T) for angle in (0.45, -0.45)]
    strokes = np.stack([tail, tip, gap, sides[0], tip, sides[1], gap], 1).reshape(-1, 2)
    line = {"color": "rgba(255,255,255,0.85)", "width": 1.3}
    figure.add_scatter(x=strokes[:, 0], y=strokes[:, 1], mode="lines", line=line, showlegend=False, hoverinfo="skip")


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _add_points(figure: "go.Figure", found: FlowField) -> None:
    from rnnscope.figures.points import add_points, point_classes

    points, drawn = found.points, found.drawn
    if not drawn.any():
        return
    numbers = np.arange(len(drawn)) if points.number is None else points.number
    # Of a result that does not say which rows of the list these are, no number is written.
    names = ["" if points.number is None else str(number) for number in numbers]
    classes = point_classes(points.n_unstable[drawn], found.plane.directions.shape[1])
    hover = [f"{distance:.2g} from the plane" for distance in points.distance[drawn]]
    add_points(
        figure, points.coordinates[drawn], classes, [name for name, each in zip(names, drawn, strict=True) if each],
        hover=hover, notes=[f"within {points.near:.2g} of the plane"] * len(classes), ink="#FFFFFF",
    )  # fmt: skip
