// The surface as geometry: a height field over [-1, 1] x [-1, 1], in a box from -TALL to TALL.

const TALL = 0.75;

/** Loss to a fraction of the shown range and back; that fraction is both the height and the colour. */
class LossScale {
  constructor({ z, log, cap, range }) {
    const positive = z.filter((value) => value !== null && value > 0);
    this.log = log && positive.length > 0;
    this.low = range[0];
    this.high = cap === null ? range[1] : Math.min(range[1], cap);
    if (this.log && !(this.low > 0)) this.low = positive.reduce((a, b) => Math.min(a, b));
    if (!(this.high > this.low)) this.high = this.low + (Math.abs(this.low) || 1);
    this.capped = z.some((value) => value !== null && value > this.high);
  }

  /** The value at whose height another one is drawn. */
  drawn(value) {
    return Math.min(this.high, Math.max(this.low, value));
  }

  /** Below 0 and above 1 outside the shown range. */
  fraction(value) {
    if (value === null || Number.isNaN(value)) return NaN;
    return this.log
      ? Math.log(Math.max(value, this.low) / this.low) / Math.log(this.high / this.low)
      : (value - this.low) / (this.high - this.low);
  }

  ticks(count) {
    return axisTicks(this.low, this.high, count, this.log, (value) => this.fraction(value));
  }

  /** Where 2, 3, .. 9 times the powers of ten lie. */
  minorTicks() {
    if (!this.log || this.high / this.low < 10) return [];
    const found = [];
    for (let e = Math.floor(Math.log10(this.low)); e <= Math.log10(this.high); e++) {
      for (let m = 2; m < 10; m++) found.push(m * 10 ** e);
    }
    return found.filter((v) => v > this.low && v < this.high).map((v) => this.fraction(v));
  }
}

/** Ticks with the fraction of the axis at which each lies. */
function axisTicks(low, high, count, log, fraction) {
  const found = log ? logTicks(low, high, count) : linearTicks(low, high, count);
  return { ...found, ticks: found.ticks.map((tick) => ({ ...tick, at: fraction(tick.value) })) };
}

class Field {
  constructor(view) {
    const unit = (nodes) => {
      const [low, high] = [nodes[0], nodes[nodes.length - 1]];
      return Float64Array.from(nodes, (value) => (2 * (value - low)) / (high - low) - 1);
    };
    this.view = view;
    this.scale = new LossScale(view);
    this.u = unit(view.x);
    this.v = unit(view.y);
    // Cut to the box only after interpolation, or the rim of the cut would be a staircase of nodes.
    this.raw = Float64Array.from(view.z, (value) => (2 * this.scale.fraction(value) - 1) * TALL);
    this.h = this.raw.map(boxed);
    const narrowest = (nodes) => nodes.slice(1).reduce((least, node, k) => Math.min(least, node - nodes[k]), 2);
    this.stride = Math.max(0.002, Math.min(narrowest(this.u), narrowest(this.v)) / 2);
  }

  /** A point of the data in the box. */
  place([x, y, z]) {
    const unit = (nodes, value) => (2 * (value - nodes[0])) / (nodes[nodes.length - 1] - nodes[0]) - 1;
    const [u, v] = [unit(this.view.x, x), unit(this.view.y, y)];
    return [u, v, z === null ? this.heightAt(u, v) : boxed((2 * this.scale.fraction(z) - 1) * TALL)];
  }

  /** The surface's height, bilinear between nodes; NaN over holes and outside. */
  heightAt(u, v) {
    if (!(Math.abs(u) <= 1 && Math.abs(v) <= 1)) return NaN;
    const [i, p] = cellOf(this.u, u);
    const [j, q] = cellOf(this.v, v);
    return boxed(this.blend(i, p, j, q));
  }

  /** Not cut to the box. */
  blend(i, p, j, q) {
    const width = this.u.length;
    const row = (k) => mix(this.raw[k * width + i], p > 0 ? this.raw[k * width + i + 1] : 0, p);
    return mix(row(j), q > 0 ? row(j + 1) : 0, q);
  }

  /** Does the line of sight from this point to the camera stay above the surface? */
  sees(camera, u, v, h) {
    if (camera.elevation > 89.5) return true;
    const slack = 0.006;
    const rise = this.stride * Math.tan((camera.elevation * Math.PI) / 180);
    for (let k = 1; ; k++) {
      const a = u + camera.ca * this.stride * k;
      const b = v + camera.sa * this.stride * k;
      const c = h + rise * k;
      if (Math.abs(a) > 1 || Math.abs(b) > 1 || c > TALL) return true;
      if (this.heightAt(a, b) > c + slack) return false;
    }
  }

  /** At most `limit` cells a side, not cut to the box: nodes left out where there are more, cells split where there are fewer. */
  mesh(limit) {
    const columns = samples(this.u, limit);
    const rows = samples(this.v, limit);
    const [nx, ny] = [columns.length, rows.length];
    const u = Float64Array.from(columns, ([i, p]) => mix(this.u[i], this.u[i + 1] ?? 0, p));
    const v = Float64Array.from(rows, ([j, q]) => mix(this.v[j], this.v[j + 1] ?? 0, q));
    const h = new Float64Array(nx * ny);
    rows.forEach(([j, q], b) => columns.forEach(([i, p], a) => (h[b * nx + a] = this.blend(i, p, j, q))));
    // The normal of a quad is the cross product of its diagonals.
    const normals = [];
    for (let b = 0; b + 1 < ny; b++) {
      for (let a = 0; a + 1 < nx; a++) {
        const k = b * nx + a;
        const [du, dv, d, e] = [u[a + 1] - u[a], v[b + 1] - v[b], h[k + nx + 1] - h[k], h[k + nx] - h[k + 1]];
        const normal = [dv * (e - d), -du * (d + e), 2 * du * dv];
        const length = Math.hypot(...normal);
        normals.push(Number.isNaN(length) ? null : normal.map((n) => n / length));
      }
    }
    return { nx, ny, u, v, h, normals: smooth(normals, nx - 1) };
  }
}

/** Each normal averaged with its neighbours: light then shows the surface rather than its cells. */
function smooth(normals, width) {
  return normals.map((normal, k) => {
    if (!normal) return null;
    const sum = [0, 0, 0];
    const column = k % width;
    for (let a = Math.max(0, column - 1); a <= Math.min(width - 1, column + 1); a++) {
      for (const row of [k - width, k, k + width]) normals[row - column + a]?.forEach((n, axis) => (sum[axis] += n));
    }
    const length = Math.hypot(...sum);
    return sum.map((n) => n / length);
  });
}

const boxed = (height) => Math.min(TALL, Math.max(-TALL, height));

/** Without multiplying by zero what may be NaN. */
function mix(from, to, weight) {
  return weight === 0 ? from : from * (1 - weight) + to * weight;
}

/** The cell of increasing `nodes` that holds `value`, and how far into the cell it is. */
function cellOf(nodes, value) {
  const last = nodes.length - 2;
  let i = Math.min(last, Math.max(0, Math.floor(((value + 1) / 2) * (last + 1))));
  while (i > 0 && nodes[i] > value) i--;
  while (i < last && nodes[i + 1] <= value) i++;
  return [i, (value - nodes[i]) / (nodes[i + 1] - nodes[i])];
}

/** Pairs of node and weight of the next node. */
function samples(nodes, limit) {
  const cells = nodes.length - 1;
  const split = Math.max(1, Math.floor(limit / cells));
  const skip = Math.max(1, Math.ceil(cells / limit));
  const found = [];
  for (let k = 0; k < cells * split; k += skip) found.push([Math.floor(k / split), (k % split) / split]);
  found.push([cells, 0]);
  return found;
}
