// What is in the box: the lit surface, drawn back to front, its paths and points.

/** A map of more colours than this is smooth. */
const MOST_BANDS = 64;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** An orthographic look at the origin of the box. */
function lookFrom({ azimuth, elevation }, scale, x0, y0) {
  const radians = Math.PI / 180;
  const [ca, sa] = [Math.cos(azimuth * radians), Math.sin(azimuth * radians)];
  const [ce, se] = [Math.cos(elevation * radians), Math.sin(elevation * radians)];
  return {
    ca, sa, elevation,
    nearU: ca >= 0 ? 1 : -1,
    nearV: sa >= 0 ? 1 : -1,
    // From above, over the reader's left shoulder: what is level has the map's colours from any side.
    light: [0.32 * ca + 0.42 * sa, 0.32 * sa - 0.42 * ca, 0.85],
    project: (u, v, h) => [
      x0 + scale * (v * ca - u * sa),
      y0 - scale * (h * ce - (u * ca + v * sa) * se),
    ],
  };
}

/** The colour map as it is under light between 0 and 1; neighbours of one colour are one band. */
class Shader {
  constructor(colours) {
    this.count = colours.length;
    this.channels = colours.map((colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16)));
    this.made = new Map();
    const starts = colours.flatMap((colour, k) => (colour === colours[k - 1] ? [] : [k]));
    const bands = starts.map((start, k) => [start, starts[k + 1] ?? this.count].map((end) => end / this.count));
    const inside = bands.length <= MOST_BANDS
      ? bands.map(([from, to]) => ({ from, to, t: (from + to) / 2 }))
      : [{ from: 0, to: 1 }];
    // What is beyond the box lies flat on its floor or lid.
    this.slices = [{ from: -Infinity, to: 0, t: 0, flat: true }, ...inside, { from: 1, to: Infinity, t: 1, flat: true }];
  }

  colour(t, light) {
    const index = clamp(Math.floor(t * this.count), 0, this.count - 1);
    const level = Math.round(63 * clamp(light, 0, 1));
    const key = index * 64 + level;
    if (!this.made.has(key)) {
      const strength = 0.62 + 0.38 * (level / 63);
      this.made.set(key, `rgb(${this.channels[index].map((c) => Math.round(c * strength)).join(", ")})`);
    }
    return this.made.get(key);
  }
}

/** The part of a polygon of [x, y, t] where `sign * t >= sign * edge`. */
function cut(polygon, edge, sign) {
  return polygon.flatMap((point, k) => {
    const before = polygon.at(k - 1);
    const [a, b] = [sign * (before[2] - edge), sign * (point[2] - edge)];
    const crossing = a < 0 !== b < 0 ? [before.map((c, axis) => c + ((point[axis] - c) * a) / (a - b))] : [];
    return b >= 0 ? [...crossing, point] : crossing;
  });
}

/** The parts of a quad of [u, v, t] that differ in colour or light. */
function partsOf(quad, slices) {
  const levels = quad.map(([, , t]) => t);
  const [least, most] = [Math.min(...levels), Math.max(...levels)];
  const met = slices.filter(({ from, to }) => from < most && to > least);
  if (met.length < 2) return [{ ...met[0], polygon: quad }];
  return met.map((slice) => {
    const below = slice.to < Infinity ? cut(quad, slice.to, -1) : quad;
    return { ...slice, polygon: slice.from > -Infinity ? cut(below, slice.from, 1) : below };
  });
}

/** Over a height field the order by rows and columns, far ones first, is exactly back to front. */
function drawMesh(context, mesh, camera, shader) {
  const { nx, ny, u, v, h, normals } = mesh;
  const nodes = Array.from(h, (height, k) => [u[k % nx], v[Math.floor(k / nx)], (height / TALL + 1) / 2]);
  const project = ([a, b, t]) => camera.project(a, b, (2 * clamp(t, 0, 1) - 1) * TALL);
  const screen = nodes.map(project);
  const order = (count, near) => Array.from({ length: count - 1 }, (_, k) => (near > 0 ? k : count - 2 - k));
  const rows = order(ny, camera.nearV);
  Object.assign(context, { lineWidth: 0.8, lineJoin: "round" });
  for (const i of order(nx, camera.nearU)) {
    for (const j of rows) {
      const normal = normals[j * (nx - 1) + i];
      if (!normal) continue;
      const k = j * nx + i;
      const lit = normal.reduce((sum, n, axis) => sum + n * camera.light[axis], 0);
      const corners = [k, k + 1, k + nx + 1, k + nx];
      const quad = corners.map((n) => nodes[n]);
      for (const { polygon, flat, t: level } of partsOf(quad, shader.slices)) {
        const t = level ?? polygon.reduce((sum, point) => sum + point[2], 0) / polygon.length;
        const colour = shader.colour(t, flat ? camera.light[2] : lit);
        polyline(context, polygon === quad ? corners.map((n) => screen[n]) : polygon.map(project), true);
        context.fillStyle = colour;
        context.strokeStyle = colour;
        context.fill();
        // Without its outline the page would shine through between neighbours.
        context.stroke();
      }
    }
  }
}

/** A path as short pieces that follow the surface between the given points and pass through them. */
function drape(field, path) {
  const placed = path.map((point) => field.place(point)).filter((point) => point.every(Number.isFinite));
  const pieces = [];
  for (let k = 1; k < placed.length; k++) {
    const [from, to] = [placed[k - 1], placed[k]];
    const count = Math.ceil(clamp(Math.hypot(to[0] - from[0], to[1] - from[1]) / (2 * field.stride), 1, 400));
    const lift = [from, to].map(([u, v, h]) => h - field.heightAt(u, v));
    const points = Array.from({ length: count + 1 }, (_, n) => {
      const w = n / count;
      const [u, v, straight] = from.map((c, axis) => mix(c, to[axis], w));
      const draped = field.heightAt(u, v) + mix(lift[0], lift[1], w);
      return [u, v, Number.isFinite(draped) ? draped : straight];
    });
    for (let n = 1; n <= count; n++) pieces.push([points[n - 1], points[n]]);
  }
  return pieces.filter((piece) => piece.every(([u, v]) => Math.abs(u) <= 1 && Math.abs(v) <= 1));
}

/** The pieces in sight solid, those behind the surface dotted and faint. */
function drawPath(context, field, camera, pieces) {
  const runs = [];
  for (const [from, to] of pieces) {
    const seen = field.sees(camera, ...from.map((c, k) => (c + to[k]) / 2));
    const last = runs[runs.length - 1];
    if (last && last.seen === seen && last.end === from) {
      last.points.push(camera.project(...to));
      last.end = to;
    } else {
      runs.push({ seen, end: to, points: [camera.project(...from), camera.project(...to)] });
    }
  }
  const strokes = [
    { seen: false, style: { strokeStyle: "rgba(230, 43, 30, 0.6)", lineWidth: 1.2 }, dash: [2, 3] },
    { seen: true, style: { strokeStyle: "rgba(255, 255, 255, 0.9)", lineWidth: 4 }, dash: [] },
    { seen: true, style: { strokeStyle: "#e62b1e", lineWidth: 2 }, dash: [] },
  ];
  for (const { seen, style, dash } of strokes) {
    Object.assign(context, style, { lineJoin: "round", lineCap: "round" });
    context.setLineDash(dash);
    for (const run of runs.filter((run) => run.seen === seen)) {
      polyline(context, run.points);
      context.stroke();
    }
  }
  context.setLineDash([]);
}

function drawPoints(context, labels, field, camera, points) {
  for (const { at, label } of points) {
    const place = field.place(at);
    if (!place.every(Number.isFinite) || Math.abs(place[0]) > 1 || Math.abs(place[1]) > 1) continue;
    const seen = field.sees(camera, ...place);
    const [x, y] = camera.project(...place);
    context.beginPath();
    context.arc(x, y, 4.5, 0, 2 * Math.PI);
    context.fillStyle = seen ? "#fff" : "rgba(255, 255, 255, 0.35)";
    context.fill();
    Object.assign(context, { strokeStyle: seen ? "#111" : "rgba(0, 0, 0, 0.4)", lineWidth: 1.8 });
    context.stroke();
    const [w] = labels.half(label);
    const places = [[1, -1], [-1, -1], [1, 1], [-1, 1]].map(([sx, sy]) => [x + sx * (6 + w), y + sy * 10]);
    const free = places.find((at) => labels.free(label, ...at)) ?? places[0];
    labels.draw(label, ...free, { halo: true, ink: seen ? "#111" : "#777" });
  }
}
