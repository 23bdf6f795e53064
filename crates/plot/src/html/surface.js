// The interactive surface: turned, zoomed and read with pointer, fingers or keyboard.

const HOME = { azimuth: -60, elevation: 30, zoom: 1, panX: 0, panY: 0 };
const DRAFT_CELLS = 80;
const FULL_CELLS = 128;
/** More would be smaller than a pixel. */
const MOST_CELLS = 200;
const PRINT_DENSITY = 3;
/** A longer frame makes a drag stutter: the next ones have fewer cells. */
const SLOW = 60;
const HINT = "Drag to turn, scroll or pinch to zoom, point at the surface to read it.";

class SurfaceViewer {
  constructor(host, view) {
    this.view = view;
    this.titles = view.labels.map((label, k) => label || ["x", "y", "loss"][k]);
    this.field = new Field(view);
    this.shader = new Shader(view.colours);
    this.path = drape(this.field, view.path);
    this.draftCells = DRAFT_CELLS;
    this.draft = this.field.mesh(DRAFT_CELLS);
    this.full = this.field.mesh(clamp(Math.max(view.x.length, view.y.length), FULL_CELLS, MOST_CELLS));
    this.pose = { ...HOME };
    this.pointers = new Map();
    const axis = (nodes, unit) => axisTicks(nodes[0], nodes[nodes.length - 1], 6, false, unit);
    this.ticks = [
      axis(view.x, (value) => (this.field.place([value, 0, null])[0] + 1) / 2),
      axis(view.y, (value) => (this.field.place([0, value, null])[1] + 1) / 2),
      this.field.scale.ticks(6),
    ];
    this.build(host);
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.stage);
  }

  build(host) {
    this.stage = element("div", "stage");
    this.canvas = element("canvas", "");
    this.context = this.canvas.getContext("2d");
    this.marker = element("div", "marker");
    this.marker.hidden = true;
    this.readout = element("output", "readout", HINT);
    this.reset = element("button", "reset", "Reset view");
    this.reset.type = "button";
    Object.assign(this.canvas, { tabIndex: 0 });
    this.canvas.setAttribute("role", "application");
    const [x, y, z] = this.titles;
    this.canvas.setAttribute("aria-label",
      `Surface of ${z} over ${x} and ${y}: arrow keys turn it, plus and minus zoom, Home resets.`);
    const toolbar = element("div", "toolbar");
    toolbar.append(this.readout, this.reset);
    this.stage.append(this.canvas, this.marker);
    host.append(this.stage, toolbar);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.release(event));
    canvas.addEventListener("pointerleave", (event) => event.pointerType === "touch" || this.unpick());
    canvas.addEventListener("dblclick", () => this.turnTo(HOME));
    this.reset.addEventListener("click", () => this.turnTo(HOME));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    // Paper is finer than a screen.
    window.addEventListener("beforeprint", () => this.resize(PRINT_DENSITY));
    window.addEventListener("afterprint", () => this.resize());
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, start: [event.clientX, event.clientY] });
  }

  move(event) {
    const held = this.pointers.get(event.pointerId);
    if (!held) return event.pointerType === "touch" || this.pick(event.clientX, event.clientY);
    const spread = () => {
      const [a, b] = [...this.pointers.values()];
      return b && { size: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    };
    const [dx, dy, before] = [event.clientX - held.x, event.clientY - held.y, spread()];
    Object.assign(held, { x: event.clientX, y: event.clientY });
    if (before) {
      const after = spread();
      this.zoomBy(after.size / Math.max(1, before.size), after.x, after.y);
    } else {
      const { azimuth, elevation } = this.pose;
      this.turnTo({ azimuth: azimuth - 0.4 * dx, elevation: elevation + 0.4 * dy }, true);
    }
  }

  release(event) {
    const held = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!held) return;
    const [x, y] = held.start;
    if (event.type === "pointerup" && Math.hypot(event.clientX - x, event.clientY - y) < 5) {
      this.pick(event.clientX, event.clientY);
    }
    this.request(false);
  }

  wheel(event) {
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    // At either end of the zoom the wheel is the page's again.
    if (this.zoomBy(Math.exp(-0.0015 * pixels), event.clientX, event.clientY)) event.preventDefault();
  }

  key(event) {
    const { azimuth, elevation } = this.pose;
    const box = this.canvas.getBoundingClientRect();
    const zoom = (factor) => this.zoomBy(factor, (box.left + box.right) / 2, (box.top + box.bottom) / 2);
    const actions = {
      ArrowLeft: () => this.turnTo({ azimuth: azimuth + 5 }),
      ArrowRight: () => this.turnTo({ azimuth: azimuth - 5 }),
      ArrowUp: () => this.turnTo({ elevation: elevation - 5 }),
      ArrowDown: () => this.turnTo({ elevation: elevation + 5 }),
      "+": () => zoom(1.2),
      "=": () => zoom(1.2),
      "-": () => zoom(1 / 1.2),
      Home: () => this.turnTo(HOME),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }

  turnTo(pose, draft = false) {
    Object.assign(this.pose, pose);
    this.pose.azimuth = ((((this.pose.azimuth + 180) % 360) + 360) % 360) - 180;
    this.pose.elevation = clamp(this.pose.elevation, 0, 90);
    this.request(draft);
  }

  /** Zooms about a place of the window, which stays where it is; says whether there was room to. */
  zoomBy(factor, clientX, clientY) {
    const { zoom, panX, panY } = this.pose;
    const next = clamp(zoom * factor, 1, 12);
    if (next === zoom) return false;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [clientX - box.left - this.middle[0], clientY - box.top - this.middle[1]];
    const room = (next - 1) / 2;
    this.pose.zoom = next;
    this.pose.panX = clamp(x - ((x - panX) * next) / zoom, -room * this.width, room * this.width);
    this.pose.panY = clamp(y - ((y - panY) * next) / zoom, -room * this.height, room * this.height);
    this.request(true);
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.request(false), 160);
    return true;
  }

  resize(density = window.devicePixelRatio || 1) {
    this.width = this.stage.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * density);
    this.canvas.height = Math.round(this.height * density);
    this.plotWidth = this.width - roomFor(this.width).bar;
    this.middle = [this.plotWidth / 2 + 10, this.height / 2 - 22];
    this.draw(false);
  }

  /** Draws with the next frame; `draft` with fewer cells, while the surface moves. */
  request(draft) {
    this.wanted = draft;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw(this.wanted);
    });
  }

  camera() {
    const { elevation, zoom, panX, panY } = this.pose;
    const tilt = (elevation * Math.PI) / 180;
    // How far the box reaches from its middle, whatever side it is seen from; around it is room for ticks and names.
    const [across, upright] = [Math.SQRT2, Math.SQRT2 * Math.sin(tilt) + TALL * Math.cos(tilt)];
    const scale = Math.min((this.plotWidth - 2 * roomFor(this.width).side) / across, (this.height - 68) / upright) / 2;
    return lookFrom(this.pose, scale * zoom, this.middle[0] + panX, this.middle[1] + panY);
  }

  draw(draft) {
    const { context, field, width, height, view } = this;
    if (!(width > 0)) return;
    const start = performance.now();
    const density = this.canvas.width / width;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.font = FONT;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    const camera = this.camera();
    const labels = new Labels(context);
    drawBox(context, camera, this.ticks);
    drawMesh(context, draft ? this.draft : this.full, camera, this.shader);
    drawPath(context, field, camera, this.path);
    drawAxes(context, labels, camera, { ticks: this.ticks, titles: this.titles, edge: this.plotWidth });
    drawPoints(context, labels, field, camera, view.points);
    drawColourBar(context, labels, {
      width, height, colours: view.colours, scale: field.scale, title: this.titles[2],
    });
    this.mark();
    if (draft && performance.now() - start > SLOW && this.draftCells > 30) {
      this.draftCells = Math.round(0.75 * this.draftCells);
      this.draft = field.mesh(this.draftCells);
    }
  }

  /** Node (`i`, `j`): where it is in the window, and whether it is in sight. */
  node(i, j) {
    const { field } = this;
    const camera = this.camera();
    const box = this.canvas.getBoundingClientRect();
    const k = j * field.u.length + i;
    const [x, y] = camera.project(field.u[i], field.v[j], field.h[k]);
    const framed = x >= 0 && x <= this.plotWidth && y >= 0 && y <= this.height;
    const visible = framed && field.sees(camera, field.u[i], field.v[j], field.h[k]);
    return { x: box.left + x, y: box.top + y, value: this.view.z[k], visible };
  }

  /** Marks and reads the node in sight that is nearest to this place of the window. */
  pick(clientX, clientY) {
    const { field } = this;
    const camera = this.camera();
    const box = this.canvas.getBoundingClientRect();
    const near = [];
    field.h.forEach((h, k) => {
      if (Number.isNaN(h)) return;
      const [i, j] = [k % field.u.length, Math.floor(k / field.u.length)];
      const [x, y] = camera.project(field.u[i], field.v[j], h);
      const distance = Math.hypot(x + box.left - clientX, y + box.top - clientY);
      if (distance < 24) near.push({ i, j, distance });
    });
    near.sort((a, b) => a.distance - b.distance);
    this.picked = near.find(({ i, j }) => this.node(i, j).visible);
    if (!this.picked) return this.unpick();
    const { i, j } = this.picked;
    const { x, y, z } = this.view;
    const value = z[j * x.length + i];
    const drawn = field.scale.drawn(value);
    const beyond = drawn === value ? "" : ` (drawn at ${formatNumber(drawn, 4, true)})`;
    const values = [formatCoordinate(x[i]), formatCoordinate(y[j]), formatNumber(value, 6, true) + beyond];
    this.readout.textContent = this.titles.map((title, k) => `${title} = ${values[k]}`).join(", ");
    this.mark();
  }

  unpick() {
    this.picked = undefined;
    this.readout.textContent = HINT;
    this.mark();
  }

  mark() {
    const at = this.picked && this.node(this.picked.i, this.picked.j);
    this.marker.hidden = !at || !at.visible;
    if (this.marker.hidden) return;
    const box = this.canvas.getBoundingClientRect();
    this.marker.style.left = `${at.x - box.left}px`;
    this.marker.style.top = `${at.y - box.top}px`;
  }
}

const surfaces = [...document.querySelectorAll("script.surface-data")].map((script) =>
  new SurfaceViewer(script.parentElement, JSON.parse(script.textContent)));

// For tests: `node(i, j)` tells where a grid node is in the window (x, y), its value, and whether it is in sight.
window.relief = {
  surfaces: surfaces.map((viewer) => ({
    node: (i, j) => viewer.node(i, j),
    pose: () => ({ ...viewer.pose }),
  })),
};
