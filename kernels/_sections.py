"""Kernels of second-order sections, one behind the other: `filters` and `window` check.

The state of a section is (u, v), of the transposed direct form II: y = b0 x + u; u = (b1 x + v) - a1 y;
v = b2 x - a2 y. The sum in brackets needs no y, so a sample waits for the one before it through a product, a difference
and a sum alone. Every kernel here computes in this order, and so gives the same bits.
"""

from __future__ import annotations

from ._arrays import Float32, Float64, Samples
from ._kernel import kernel

LANES = 4
"""Rows in a vector of float64, of which AVX2 and NEON (in two) make one instruction."""


@kernel(
    "void(const i2[::1], const f8[::1], f8[:,::1], f4[::1])",
    "void(const i4[::1], const f8[::1], f8[:,::1], f4[::1])",
    "void(const f4[::1], const f8[::1], f8[:,::1], f4[::1])",
)
def filter_row_into(x: Samples, sos: Float64, state: Float64, out: Float32) -> None:
    """Filter one row; `sos` stands section behind section, `state` is (section, 2)."""
    for i in range(x.shape[0]):
        value = float(x[i])
        for s in range(state.shape[0]):
            result = sos[6 * s] * value + state[s, 0]
            state[s, 0] = (sos[6 * s + 1] * value + state[s, 1]) - sos[6 * s + 4] * result
            state[s, 1] = sos[6 * s + 2] * value - sos[6 * s + 5] * result
            value = result
        out[i] = value


@kernel("void(const f8[::1], f8[:,:,::1], i8)")
def _section(sos: Float64, lanes: Float64, s: int) -> None:
    """Let a section take what the one before it gave."""
    for c in range(lanes.shape[2]):
        value = lanes[s - 1, 2, c]
        result = sos[6 * s] * value + lanes[s, 0, c]
        lanes[s, 0, c] = (sos[6 * s + 1] * value + lanes[s, 1, c]) - sos[6 * s + 4] * result
        lanes[s, 1, c] = sos[6 * s + 2] * value - sos[6 * s + 5] * result
        lanes[s, 2, c] = result


@kernel(
    "void(const i2[:,::1], const f8[::1], f8[:,:,::1])",
    "void(const i4[:,::1], const f8[::1], f8[:,:,::1])",
    "void(const f4[:,::1], const f8[::1], f8[:,:,::1])",
)
def _begin(x: Samples, sos: Float64, lanes: Float64) -> None:
    """Bring the first samples so far that each section but the last has one to give, the newest in the first."""
    for i in range(lanes.shape[0] - 1):
        for c in range(x.shape[0]):
            value = float(x[c, i])
            result = sos[0] * value + lanes[0, 0, c]
            lanes[0, 0, c] = (sos[1] * value + lanes[0, 1, c]) - sos[4] * result
            lanes[0, 1, c] = sos[2] * value - sos[5] * result
            lanes[0, 2, c] = result
        for s in range(1, lanes.shape[0] - 1 - i):
            _section(sos, lanes, s)


@kernel("void(const f8[::1], f8[:,:,::1], f4[:,::1])")
def _end(sos: Float64, lanes: Float64, out: Float32) -> None:
    """Bring the samples that stand between sections to the end, the oldest first."""
    for behind in range(lanes.shape[0] - 2, -1, -1):
        for s in range(behind + 1, lanes.shape[0]):
            _section(sos, lanes, s)
        for c in range(out.shape[0]):
            out[c, out.shape[1] - 1 - behind] = lanes[lanes.shape[0] - 1, 2, c]


@kernel(
    "void(const i2[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
    "void(const i4[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
    "void(const f4[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
)
def _three_by_two_into(x: Samples, sos: Float64, lanes: Float64, out: Float32) -> None:
    """Filter three rows by two sections, the state in registers and a silent fourth lane to fill the vector.

    Section s is at sample i - s, so that no section waits for another one: `_begin` and `_end` do the corners. The
    silent lane's samples are its own state in memory, which stays 0: of a constant, or of what does not change in the
    loop, the compiler would make another case, and no whole vectors.
    """
    f0, g0, h0, q0, r0 = sos[0], sos[1], sos[2], sos[4], sos[5]
    f1, g1, h1, q1, r1 = sos[6], sos[7], sos[8], sos[10], sos[11]
    zu0, nu0, eu0, pu0 = lanes[0, 0, 0], lanes[0, 0, 1], lanes[0, 0, 2], lanes[0, 0, 3]
    zv0, nv0, ev0, pv0 = lanes[0, 1, 0], lanes[0, 1, 1], lanes[0, 1, 2], lanes[0, 1, 3]
    zw0, nw0, ew0, pw0 = lanes[0, 2, 0], lanes[0, 2, 1], lanes[0, 2, 2], lanes[0, 2, 3]
    zu1, nu1, eu1, pu1 = lanes[1, 0, 0], lanes[1, 0, 1], lanes[1, 0, 2], lanes[1, 0, 3]
    zv1, nv1, ev1, pv1 = lanes[1, 1, 0], lanes[1, 1, 1], lanes[1, 1, 2], lanes[1, 1, 3]
    for i in range(1, x.shape[1]):
        zy, ny, ey, py = f1 * zw0 + zu1, f1 * nw0 + nu1, f1 * ew0 + eu1, f1 * pw0 + pu1
        zu1, nu1, eu1, pu1 = (
            (g1 * zw0 + zv1) - q1 * zy,
            (g1 * nw0 + nv1) - q1 * ny,
            (g1 * ew0 + ev1) - q1 * ey,
            (g1 * pw0 + pv1) - q1 * py,
        )
        zv1, nv1, ev1, pv1 = h1 * zw0 - r1 * zy, h1 * nw0 - r1 * ny, h1 * ew0 - r1 * ey, h1 * pw0 - r1 * py
        out[0, i - 1], out[1, i - 1], out[2, i - 1] = zy, ny, ey
        z, n, e, p = float(x[0, i]), float(x[1, i]), float(x[2, i]), lanes[0, 0, 3]
        zy, ny, ey, py = f0 * z + zu0, f0 * n + nu0, f0 * e + eu0, f0 * p + pu0
        zu0, nu0, eu0, pu0 = (
            (g0 * z + zv0) - q0 * zy,
            (g0 * n + nv0) - q0 * ny,
            (g0 * e + ev0) - q0 * ey,
            (g0 * p + pv0) - q0 * py,
        )
        zv0, nv0, ev0, pv0 = h0 * z - r0 * zy, h0 * n - r0 * ny, h0 * e - r0 * ey, h0 * p - r0 * py
        zw0, nw0, ew0, pw0 = zy, ny, ey, py
    lanes[0, 0, 0], lanes[0, 0, 1], lanes[0, 0, 2], lanes[0, 0, 3] = zu0, nu0, eu0, pu0
    lanes[0, 1, 0], lanes[0, 1, 1], lanes[0, 1, 2], lanes[0, 1, 3] = zv0, nv0, ev0, pv0
    lanes[0, 2, 0], lanes[0, 2, 1], lanes[0, 2, 2], lanes[0, 2, 3] = zw0, nw0, ew0, pw0
    lanes[1, 0, 0], lanes[1, 0, 1], lanes[1, 0, 2], lanes[1, 0, 3] = zu1, nu1, eu1, pu1
    lanes[1, 1, 0], lanes[1, 1, 1], lanes[1, 1, 2], lanes[1, 1, 3] = zv1, nv1, ev1, pv1


@kernel(
    "void(const i2[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
    "void(const i4[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
    "void(const f4[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
)
def _three_by_four_into(x: Samples, sos: Float64, lanes: Float64, out: Float32) -> None:
    """Do as `_three_by_two_into` for four sections."""
    f0, g0, h0, q0, r0 = sos[0], sos[1], sos[2], sos[4], sos[5]
    f1, g1, h1, q1, r1 = sos[6], sos[7], sos[8], sos[10], sos[11]
    f2, g2, h2, q2, r2 = sos[12], sos[13], sos[14], sos[16], sos[17]
    f3, g3, h3, q3, r3 = sos[18], sos[19], sos[20], sos[22], sos[23]
    zu0, nu0, eu0, pu0 = lanes[0, 0, 0], lanes[0, 0, 1], lanes[0, 0, 2], lanes[0, 0, 3]
    zv0, nv0, ev0, pv0 = lanes[0, 1, 0], lanes[0, 1, 1], lanes[0, 1, 2], lanes[0, 1, 3]
    zw0, nw0, ew0, pw0 = lanes[0, 2, 0], lanes[0, 2, 1], lanes[0, 2, 2], lanes[0, 2, 3]
    zu1, nu1, eu1, pu1 = lanes[1, 0, 0], lanes[1, 0, 1], lanes[1, 0, 2], lanes[1, 0, 3]
    zv1, nv1, ev1, pv1 = lanes[1, 1, 0], lanes[1, 1, 1], lanes[1, 1, 2], lanes[1, 1, 3]
    zw1, nw1, ew1, pw1 = lanes[1, 2, 0], lanes[1, 2, 1], lanes[1, 2, 2], lanes[1, 2, 3]
    zu2, nu2, eu2, pu2 = lanes[2, 0, 0], lanes[2, 0, 1], lanes[2, 0, 2], lanes[2, 0, 3]
    zv2, nv2, ev2, pv2 = lanes[2, 1, 0], lanes[2, 1, 1], lanes[2, 1, 2], lanes[2, 1, 3]
    zw2, nw2, ew2, pw2 = lanes[2, 2, 0], lanes[2, 2, 1], lanes[2, 2, 2], lanes[2, 2, 3]
    zu3, nu3, eu3, pu3 = lanes[3, 0, 0], lanes[3, 0, 1], lanes[3, 0, 2], lanes[3, 0, 3]
    zv3, nv3, ev3, pv3 = lanes[3, 1, 0], lanes[3, 1, 1], lanes[3, 1, 2], lanes[3, 1, 3]
    for i in range(3, x.shape[1]):
        zy, ny, ey, py = f3 * zw2 + zu3, f3 * nw2 + nu3, f3 * ew2 + eu3, f3 * pw2 + pu3
        zu3, nu3, eu3, pu3 = (
            (g3 * zw2 + zv3) - q3 * zy,
            (g3 * nw2 + nv3) - q3 * ny,
            (g3 * ew2 + ev3) - q3 * ey,
            (g3 * pw2 + pv3) - q3 * py,
        )
        zv3, nv3, ev3, pv3 = h3 * zw2 - r3 * zy, h3 * nw2 - r3 * ny, h3 * ew2 - r3 * ey, h3 * pw2 - r3 * py
        out[0, i - 3], out[1, i - 3], out[2, i - 3] = zy, ny, ey
        zy, ny, ey, py = f2 * zw1 + zu2, f2 * nw1 + nu2, f2 * ew1 + eu2, f2 * pw1 + pu2
        zu2, nu2, eu2, pu2 = (
            (g2 * zw1 + zv2) - q2 * zy,
            (g2 * nw1 + nv2) - q2 * ny,
            (g2 * ew1 + ev2) - q2 * ey,
            (g2 * pw1 + pv2) - q2 * py,
        )
        zv2, nv2, ev2, pv2 = h2 * zw1 - r2 * zy, h2 * nw1 - r2 * ny, h2 * ew1 - r2 * ey, h2 * pw1 - r2 * py
        zw2, nw2, ew2, pw2 = zy, ny, ey, py
        zy, ny, ey, py = f1 * zw0 + zu1, f1 * nw0 + nu1, f1 * ew0 + eu1, f1 * pw0 + pu1
        zu1, nu1, eu1, pu1 = (
            (g1 * zw0 + zv1) - q1 * zy,
            (g1 * nw0 + nv1) - q1 * ny,
            (g1 * ew0 + ev1) - q1 * ey,
            (g1 * pw0 + pv1) - q1 * py,
        )
        zv1, nv1, ev1, pv1 = h1 * zw0 - r1 * zy, h1 * nw0 - r1 * ny, h1 * ew0 - r1 * ey, h1 * pw0 - r1 * py
        zw1, nw1, ew1, pw1 = zy, ny, ey, py
        z, n, e, p = float(x[0, i]), float(x[1, i]), float(x[2, i]), lanes[0, 0, 3]
        zy, ny, ey, py = f0 * z + zu0, f0 * n + nu0, f0 * e + eu0, f0 * p + pu0
        zu0, nu0, eu0, pu0 = (
            (g0 * z + zv0) - q0 * zy,
            (g0 * n + nv0) - q0 * ny,
            (g0 * e + ev0) - q0 * ey,
            (g0 * p + pv0) - q0 * py,
        )
        zv0, nv0, ev0, pv0 = h0 * z - r0 * zy, h0 * n - r0 * ny, h0 * e - r0 * ey, h0 * p - r0 * py
        zw0, nw0, ew0, pw0 = zy, ny, ey, py
    lanes[0, 0, 0], lanes[0, 0, 1], lanes[0, 0, 2], lanes[0, 0, 3] = zu0, nu0, eu0, pu0
    lanes[0, 1, 0], lanes[0, 1, 1], lanes[0, 1, 2], lanes[0, 1, 3] = zv0, nv0, ev0, pv0
    lanes[0, 2, 0], lanes[0, 2, 1], lanes[0, 2, 2], lanes[0, 2, 3] = zw0, nw0, ew0, pw0
    lanes[1, 0, 0], lanes[1, 0, 1], lanes[1, 0, 2], lanes[1, 0, 3] = zu1, nu1, eu1, pu1
    lanes[1, 1, 0], lanes[1, 1, 1], lanes[1, 1, 2], lanes[1, 1, 3] = zv1, nv1, ev1, pv1
    lanes[1, 2, 0], lanes[1, 2, 1], lanes[1, 2, 2], lanes[1, 2, 3] = zw1, nw1, ew1, pw1
    lanes[2, 0, 0], lanes[2, 0, 1], lanes[2, 0, 2], lanes[2, 0, 3] = zu2, nu2, eu2, pu2
    lanes[2, 1, 0], lanes[2, 1, 1], lanes[2, 1, 2], lanes[2, 1, 3] = zv2, nv2, ev2, pv2
    lanes[2, 2, 0], lanes[2, 2, 1], lanes[2, 2, 2], lanes[2, 2, 3] = zw2, nw2, ew2, pw2
    lanes[3, 0, 0], lanes[3, 0, 1], lanes[3, 0, 2], lanes[3, 0, 3] = zu3, nu3, eu3, pu3
    lanes[3, 1, 0], lanes[3, 1, 1], lanes[3, 1, 2], lanes[3, 1, 3] = zv3, nv3, ev3, pv3


@kernel(
    "void(const i2[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
    "void(const i4[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
    "void(const f4[:,::1], const f8[::1], f8[:,:,::1], f4[:,::1])",
)
def filter_lanes_into(x: Samples, sos: Float64, lanes: Float64, out: Float32) -> None:
    """Filter rows in lockstep.

    `lanes` is (section, 3, row) with four rows at least: the state u and v, and room for what a section gives.
    """
    sections = lanes.shape[0]
    if x.shape[0] == 3 and x.shape[1] >= sections:
        if sections == 2:
            _begin(x, sos, lanes)
            _three_by_two_into(x, sos, lanes, out)
            _end(sos, lanes, out)
            return
        if sections == 4:
            _begin(x, sos, lanes)
            _three_by_four_into(x, sos, lanes, out)
            _end(sos, lanes, out)
            return
    # Row by row within a sample: a row's next number waits for its last one, the others' need not.
    for i in range(x.shape[1]):
        for c in range(x.shape[0]):
            value = float(x[c, i])
            for s in range(lanes.shape[0]):
                result = sos[6 * s] * value + lanes[s, 0, c]
                lanes[s, 0, c] = (sos[6 * s + 1] * value + lanes[s, 1, c]) - sos[6 * s + 4] * result
                lanes[s, 1, c] = sos[6 * s + 2] * value - sos[6 * s + 5] * result
                value = result
            out[c, i] = value


@kernel(
    "void(const i2[:,::1], const f8[::1], f8[:,:,::1], f8[:,:,::1], f4[:,::1])",
    "void(const i4[:,::1], const f8[::1], f8[:,:,::1], f8[:,:,::1], f4[:,::1])",
    "void(const f4[:,::1], const f8[::1], f8[:,:,::1], f8[:,:,::1], f4[:,::1])",
)
def filter_rows_into(x: Samples, sos: Float64, state: Float64, lanes: Float64, out: Float32) -> None:
    """Filter the next samples of rows; `state` is (row, section, 2), `lanes` scratch for `filter_lanes_into`."""
    for c in range(state.shape[0]):
        for s in range(state.shape[1]):
            lanes[s, 0, c] = state[c, s, 0]
            lanes[s, 1, c] = state[c, s, 1]
    filter_lanes_into(x, sos, lanes, out)
    for c in range(state.shape[0]):
        for s in range(state.shape[1]):
            state[c, s, 0] = lanes[s, 0, c]
            state[c, s, 1] = lanes[s, 1, c]
