// Reading values off the lines of a figure: a crosshair, and a tip with every line's value.

const MOST_ROWS = 12;

/** Where the points of a panel's lines lie in the figure's own units; NaN for those that have no place. */
function placeSeries(panel) {
  const [left, top, width, height] = panel.frame;
  const along = (axis, value) => {
    const scaled = axis.log ? Math.log : (v) => v;
    const [low, high] = axis.range.map(scaled);
    return value === null || (axis.log && value <= 0) ? NaN : (scaled(value) - low) / (high - low);
  };
  return panel.series.map((series) => ({
    ...series,
    px: series.x.map((value) => left + width * along(panel.x, value)),
    py: series.y.map((value) => top + height * (1 - along((series.axis2 && panel.y2) || panel.y, value))),
  }));
}

/** The index of the point nearest to `x`, and among equals to `y`; -1 if there is none. */
function nearestIndex(series, x, y) {
  let best = -1;
  let bestX = Infinity;
  let bestY = Infinity;
  for (let k = 0; k < series.px.length; k++) {
    const dx = Math.abs(series.px[k] - x);
    const dy = Math.abs(series.py[k] - y);
    if (Number.isNaN(dx + dy) || dx > bestX || (dx === bestX && dy >= bestY)) continue;
    [best, bestX, bestY] = [k, dx, dy];
  }
  return best;
}

/** What the tip says about `hits`, the nearest points of the panel's lines. */
function tipContent(panel, hits, nearest) {
  const label = panel.x.label || "x";
  const shared = hits.every((hit) => hit.x === nearest.x);
  const byDistance = [...hits].sort((a, b) => a.distance - b.distance);
  const shown = new Set(byDistance.slice(0, MOST_ROWS));
  const head = shared ? `${label} = ${formatCoordinate(nearest.x)}` : label;
  const rows = hits.filter((hit) => shown.has(hit)).map((hit) => {
    const row = element("div", hit === nearest ? "row nearest" : "row");
    const swatch = element("span", "swatch");
    swatch.style.background = hit.series.colour;
    const axis = (hit.series.axis2 && panel.y2) || panel.y;
    const at = shared ? "" : ` (${formatCoordinate(hit.x)})`;
    row.append(
      swatch,
      element("span", "name", (hit.series.name || axis.label || "y") + at),
      element("span", "value", formatNumber(hit.y, 4)),
    );
    return row;
  });
  const more = hits.length - rows.length;
  return [element("div", "head", head), ...rows, ...(more > 0 ? [element("div", "row", `and ${more} more`)] : [])];
}

function readOff(plot, svg, panels) {
  const placed = panels.map((panel) => ({ ...panel, series: placeSeries(panel) }));
  const tip = element("div", "tip");
  tip.hidden = true;
  plot.append(tip);
  const drawn = (name, attributes) => {
    const made = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const cross = drawn("g", { class: "crosshair", "pointer-events": "none" });
  svg.append(cross);
  // A title would come up as the browser's own tip, over ours.
  const title = svg.querySelector(":scope > title");
  if (title) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", title.textContent);
    title.remove();
  }

  const hide = () => {
    tip.hidden = true;
    cross.replaceChildren();
  };
  const show = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const panel = placed.find(({ frame: [left, top, width, height] }) =>
      at.x >= left && at.x <= left + width && at.y >= top && at.y <= top + height);
    const hits = (panel ? panel.series : []).flatMap((series) => {
      const k = nearestIndex(series, at.x, at.y);
      if (k < 0) return [];
      const [px, py] = [series.px[k], series.py[k]];
      return [{ series, x: series.x[k], y: series.y[k], px, py, distance: Math.hypot(px - at.x, py - at.y) }];
    });
    if (hits.length === 0) return hide();
    const nearest = hits.reduce((best, hit) => (hit.distance < best.distance ? hit : best));

    const [left, top, width, height] = panel.frame;
    const thin = { stroke: "#555", "stroke-width": 1, "stroke-dasharray": "3 3", "vector-effect": "non-scaling-stroke" };
    const inside = (hit) =>
      hit.px >= left - 1 && hit.px <= left + width + 1 && hit.py >= top - 1 && hit.py <= top + height + 1;
    const lines = inside(nearest)
      ? [
          drawn("line", { x1: nearest.px, x2: nearest.px, y1: top, y2: top + height, ...thin }),
          drawn("line", { x1: left, x2: left + width, y1: nearest.py, y2: nearest.py, ...thin }),
        ]
      : [];
    const unit = 1 / svg.getScreenCTM().a;
    const dots = hits.filter(inside).map((hit) =>
      drawn("circle", {
        cx: hit.px, cy: hit.py, r: (hit === nearest ? 5 : 3.5) * unit,
        fill: hit.series.colour, stroke: "#fff", "stroke-width": 1.5 * unit,
      }));
    cross.replaceChildren(...lines, ...dots);

    tip.replaceChildren(...tipContent(panel, hits, nearest));
    tip.hidden = false;
    const box = plot.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const flip = x + 16 + tip.offsetWidth > box.width;
    tip.style.left = `${Math.max(0, flip ? x - 16 - tip.offsetWidth : x + 16)}px`;
    tip.style.top = `${Math.max(0, Math.min(y - tip.offsetHeight / 2, box.height - tip.offsetHeight))}px`;
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  // After a touch the tip stays until the next one: a finger that leaves wants to see what it hid.
  plot.addEventListener("pointerleave", (event) => event.pointerType === "touch" || hide());
  document.addEventListener("pointerdown", (event) => plot.contains(event.target) || hide());
}

for (const script of document.querySelectorAll("script.hover-data")) {
  const plot = script.previousElementSibling;
  const svg = plot.querySelector("svg");
  if (svg) readOff(plot, svg, JSON.parse(script.textContent));
}
