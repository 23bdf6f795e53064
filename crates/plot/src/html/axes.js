// What stands around the surface: the box with its ticks, and the colour bar.

const INK = "#333";
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** Room for the colour bar, and to either side of the surface's box. */
const roomFor = (width) => (width < 560 ? { bar: 80, side: 44, tight: true } : { bar: 112, side: 55, tight: false });

/** Texts on the canvas, none over another. */
class Labels {
  constructor(context) {
    this.context = context;
    this.boxes = [];
  }

  /** Half of the width and height of a text, with a little air. */
  half(text, turned = false) {
    const half = [this.context.measureText(text).width / 2 + 4, 8];
    return turned ? half.reverse() : half;
  }

  free(text, x, y, turned = false) {
    const [w, h] = this.half(text, turned);
    return this.boxes.every((box) => Math.abs(box.x - x) >= box.w + w || Math.abs(box.y - y) >= box.h + h);
  }

  draw(text, x, y, { turned = false, halo = false, ink = INK } = {}) {
    const { context } = this;
    const [w, h] = this.half(text, turned);
    this.boxes.push({ x, y, w, h });
    context.save();
    context.translate(x, y);
    if (turned) context.rotate(-Math.PI / 2);
    Object.assign(context, { textAlign: "center", textBaseline: "middle", lineJoin: "round" });
    if (halo) {
      Object.assign(context, { strokeStyle: "rgba(255, 255, 255, 0.85)", lineWidth: 4 });
      context.strokeText(text, 0, 0);
    }
    context.fillStyle = ink;
    context.fillText(text, 0, 0);
    context.restore();
  }
}

function polyline(context, points, close = false) {
  context.beginPath();
  points.forEach(([x, y], k) => (k === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
  if (close) context.closePath();
}

/** The floor and the two walls behind the surface, with lines at the ticks. */
function drawBox(context, camera, ticks) {
  const [far, side] = [-camera.nearU, -camera.nearV];
  const across = (at) => 2 * at - 1;
  const panes = [
    { corners: [[-1, -1, -TALL], [1, -1, -TALL], [1, 1, -TALL], [-1, 1, -TALL]], shade: "#f1f2f4" },
    { corners: [[far, -1, -TALL], [far, 1, -TALL], [far, 1, TALL], [far, -1, TALL]], shade: "#f6f7f8" },
    { corners: [[-1, side, -TALL], [1, side, -TALL], [1, side, TALL], [-1, side, TALL]], shade: "#f9fafb" },
  ];
  const lines = [
    ...ticks[0].ticks.map(({ at }) => [[across(at), -side, -TALL], [across(at), side, -TALL], [across(at), side, TALL]]),
    ...ticks[1].ticks.map(({ at }) => [[-far, across(at), -TALL], [far, across(at), -TALL], [far, across(at), TALL]]),
    ...ticks[2].ticks.map(({ at }) => [[-far, side], [far, side], [far, -side]].map((c) => [...c, across(at) * TALL])),
  ];
  Object.assign(context, { lineWidth: 1, lineJoin: "round" });
  for (const { corners, shade } of panes) {
    polyline(context, corners.map((corner) => camera.project(...corner)), true);
    context.fillStyle = shade;
    context.fill();
    context.strokeStyle = "#c9cbd1";
    context.stroke();
  }
  context.strokeStyle = "#dddfe3";
  for (const line of lines) {
    polyline(context, line.map((point) => camera.project(...point)));
    context.stroke();
  }
}

/** Ticks, their labels and the axis's name along one edge of the box, on the side away from its middle. */
function drawAxis(context, labels, camera, { from, to, ticks, title, turned, edge }) {
  const [a, b] = [camera.project(...from), camera.project(...to)];
  const along = [b[0] - a[0], b[1] - a[1]];
  const length = Math.hypot(...along);
  polyline(context, [a, b]);
  Object.assign(context, { strokeStyle: "#666", lineWidth: 1 });
  context.stroke();
  // Seen from its end an axis tells nothing.
  if (length < 40) return;
  const middle = camera.project(0, 0, 0);
  const mid = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  let out = [-along[1] / length, along[0] / length];
  if (out[0] * (mid[0] - middle[0]) + out[1] * (mid[1] - middle[1]) < 0) out = out.map((c) => -c);
  const reach = ([w, h]) => w * Math.abs(out[0]) + h * Math.abs(out[1]);
  const outside = ([x, y], distance) => [x + out[0] * distance, y + out[1] * distance];

  const marks = ticks.ticks.map(({ at, text }) => {
    const foot = [a[0] + along[0] * at, a[1] + along[1] * at];
    return { text, foot, place: outside(foot, 5 + reach(labels.half(text))) };
  });
  for (const { foot } of marks) {
    polyline(context, [foot, outside(foot, 5)]);
    context.stroke();
  }
  const stride = strideWithoutOverlap(labels, marks);
  const kept = marks.filter((_, k) => k % stride === 0);
  for (const { text, place } of kept) if (labels.free(text, ...place)) labels.draw(text, ...place);

  const name = title + ticks.suffix;
  let distance = 9 + reach(labels.half(name, turned));
  distance += 2 * Math.max(0, ...kept.map(({ text }) => reach(labels.half(text)) - 2));
  for (let tries = 0; tries < 8 && !labels.free(name, ...outside(mid, distance), turned); tries++) distance += 6;
  const [x, y] = outside(mid, distance);
  const [half] = labels.half(name, turned);
  labels.draw(name, Math.min(Math.max(x, half), edge - half), y, { turned });
}

/** How many ticks share one label, so that labels stay apart from each other. */
function strideWithoutOverlap(labels, marks) {
  for (let stride = 1; stride < marks.length; stride++) {
    const kept = marks.filter((_, k) => k % stride === 0);
    const apart = kept.every(({ text, place: [x, y] }, k) => {
      if (k === 0) return true;
      const [w, h] = labels.half(text);
      const { text: before, place } = kept[k - 1];
      const [w0, h0] = labels.half(before);
      return Math.abs(x - place[0]) >= w + w0 || Math.abs(y - place[1]) >= h + h0;
    });
    if (apart) return stride;
  }
  return Math.max(1, marks.length);
}

/** Axes along the two near edges of the floor and up the leftmost edge. */
function drawAxes(context, labels, camera, { ticks, titles, edge }) {
  const { nearU, nearV } = camera;
  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
  const left = corners.reduce((best, corner) =>
    camera.project(...corner, 0)[0] < camera.project(...best, 0)[0] ? corner : best);
  const edges = [
    { from: [-1, nearV, -TALL], to: [1, nearV, -TALL] },
    { from: [nearU, -1, -TALL], to: [nearU, 1, -TALL] },
    { from: [...left, -TALL], to: [...left, TALL], turned: true },
  ];
  // The upright axis comes first: its labels cannot give way sideways.
  for (const k of [2, 0, 1]) {
    drawAxis(context, labels, camera, { ...edges[k], ticks: ticks[k], title: titles[k], edge });
  }
}

function drawColourBar(context, labels, { width, height, colours, scale, title }) {
  const { bar, tight } = roomFor(width);
  const x = width - bar + (tight ? 10 : 24);
  const [top, bottom, thick] = [height * 0.17, height * 0.83, 15];
  const tall = bottom - top;
  context.fillStyle = "#fff";
  context.fillRect(width - bar, 0, bar, height);
  colours.forEach((colour, k) => {
    // Each colour reaches below the next: no seams.
    const upper = bottom - ((k + 1) / colours.length) * tall;
    context.fillStyle = colour;
    context.fillRect(x, upper, thick, Math.min(bottom - upper, tall / colours.length + 1));
  });
  Object.assign(context, { strokeStyle: "#666", lineWidth: 1 });
  if (scale.capped) {
    polyline(context, [[x, top], [x + thick / 2, top - 14], [x + thick, top]], true);
    context.fillStyle = colours[colours.length - 1];
    context.fill();
    context.stroke();
  }
  context.strokeRect(x, top, thick, tall);

  const level = (at) => bottom - at * tall;
  for (const at of scale.minorTicks()) {
    polyline(context, [[x + thick, level(at)], [x + thick + 2.5, level(at)]]);
    context.stroke();
  }
  const { ticks, shift, suffix } = scale.ticks(6);
  let widest = 0;
  const text = (words, y) => {
    const [w] = labels.half(words);
    widest = Math.max(widest, 2 * w);
    labels.draw(words, x + thick + 4 + w, y);
  };
  if (scale.capped) text(`> ${formatNumber(scale.high / 10 ** shift, 3, true)}`, top - 8);
  for (const { at, text: words } of ticks) {
    polyline(context, [[x + thick, level(at)], [x + thick + 5, level(at)]]);
    context.stroke();
    if (labels.free(words, x + thick + 4 + labels.half(words)[0], level(at))) text(words, level(at));
  }
  // Where room is scarce the upright axis says what is shown.
  if (tight) return;
  labels.draw(title + suffix, Math.min(width - 9, x + thick + 14 + widest), (top + bottom) / 2, { turned: true });
}
