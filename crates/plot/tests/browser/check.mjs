// node check.mjs CHROMIUM PAGE FOLDER: turns, zooms and reads the test page as a person would; screenshots go to FOLDER.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Chromium } from "./chromium.mjs";

const [program, page, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = new Chromium(program);

const width = 1200;
async function windowOf(wide, high, density = 1, mobile = false) {
  await browser.send("Emulation.setDeviceMetricsOverride", {
    width: wide, height: high, deviceScaleFactor: density, mobile,
  });
}

const load = () => browser.load(page);
const shoot = (name) => browser.shoot(join(folder, `${name}.png`));
const shootWhole = (name) => browser.shootWhole(join(folder, `${name}.png`));

/** After two frames whatever was asked for is drawn; a pause lets a zoom settle. */
const settle = (pause = 0) => browser.evaluate(
  `new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done())), ${pause}))`);

const mouse = (type, x, y, more = {}) => browser.send("Input.dispatchMouseEvent", { type, x, y, ...more });

async function drag(x, y, dx, dy, midway = async () => {}) {
  const held = { button: "left", buttons: 1, clickCount: 1 };
  await mouse("mousePressed", x, y, held);
  for (let k = 1; k <= 6; k++) await mouse("mouseMoved", x + (dx * k) / 6, y + (dy * k) / 6, held);
  await midway();
  await mouse("mouseReleased", x + dx, y + dy, { ...held, buttons: 0 });
  await settle();
}

const wheel = (x, y, deltaY) => mouse("mouseWheel", x, y, { deltaX: 0, deltaY });
async function press(key) {
  for (const type of ["keyDown", "keyUp"]) await browser.send("Input.dispatchKeyEvent", { type, key, code: key });
  await settle();
}

const hosts = `[...document.querySelectorAll(".surface")]`;
/** Remembers what surface `k` shows, in the page. */
const keep = (name, k = 0) => browser.evaluate(`void (window.kept ??= {}, kept.${name} = ${pixelsOf(k)})`);
const pixelsOf = (k) => `${copyOf}(${hosts}[${k}].querySelector("canvas"))`;
/** The pixels by way of another canvas: reading the page's own would change how the browser draws on it. */
const copyOf = `((canvas) => {
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return context.getImageData(0, 0, copy.width, copy.height).data;
})`;
/** The share of the pixels that look otherwise now; browsers draw the same edges a little differently at times. */
const changed = (name, k = 0) => browser.evaluate(`(() => {
  const [then, now] = [kept.${name}, ${pixelsOf(k)}];
  let count = 0;
  for (let at = 0; at < now.length; at += 4) {
    if ([0, 1, 2].some((channel) => Math.abs(then[at + channel] - now[at + channel]) > 40)) count++;
  }
  return (4 * count) / now.length;
})()`);
const assertHome = async (words) => assert.ok((await changed("home")) < 5e-4, `${words}: ${await changed("home")}`);
const assertMoved = async (words) => assert.ok((await changed("home")) > 0.02, `${words}: ${await changed("home")}`);
const pose = () => browser.evaluate("relief.surfaces[0].pose()");
const readout = (k = 0) => browser.evaluate(`${hosts}[${k}].querySelector(".readout").textContent`);
const node = (i, j, k = 0) => browser.evaluate(`relief.surfaces[${k}].node(${i}, ${j})`);
const boxOf = (selector, k = 0) => browser.evaluate(
  `(({ x, y, width, height }) => ({ x, y, width, height }))(document.querySelectorAll("${selector}")[${k}].getBoundingClientRect())`);
async function show(selector, k = 0) {
  await browser.evaluate(`document.querySelectorAll("${selector}")[${k}].scrollIntoView({ block: "center" })`);
  await settle();
}

/** "x = −0.5, loss = 1.2×10⁻³" as numbers. */
function numbersOf(text) {
  const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const plain = text.replaceAll("−", "-").replace(/×10(⁻?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)/g, (_, sign, digits) =>
    `e${sign && "-"}${[...digits].map((digit) => superscripts.indexOf(digit)).join("")}`);
  return [...plain.matchAll(/= (-?[\d.]+(?:e-?\d+)?)/g)].map((match) => Number(match[1]));
}

async function checkTurning() {
  await show(".stage");
  const box = await boxOf("canvas");
  const [x, y] = [box.x + 0.4 * box.width, box.y + 0.5 * box.height];
  await keep("home");
  await drag(x, y, 120, -60, async () => {
    await settle();
    await assertMoved("the canvas changes during a drag");
  });
  await assertMoved("the canvas changes by a drag");
  const after = await pose();
  assert.ok(Math.abs(after.azimuth - -108) < 1e-9 && Math.abs(after.elevation - 6) < 1e-9, JSON.stringify(after));
  await shoot("turned");

  await drag(x, y, 0, 3000);
  assert.equal((await pose()).elevation, 90, "the elevation stops at the top");
  await shoot("from-above");

  const reset = await boxOf(".reset");
  await mouse("mouseMoved", reset.x + 5, reset.y + 5);
  for (const type of ["mousePressed", "mouseReleased"]) {
    await mouse(type, reset.x + reset.width / 2, reset.y + reset.height / 2, { button: "left", clickCount: 1 });
  }
  await settle();
  await assertHome("the button leads home");

  await wheel(x, y, -400);
  await settle(400);
  assert.ok((await pose()).zoom > 1.5, "the wheel zooms");
  await assertMoved("the wheel zooms");
  await shoot("zoomed");
  for (const clickCount of [1, 2]) {
    for (const type of ["mousePressed", "mouseReleased"]) await mouse(type, x, y, { button: "left", clickCount });
  }
  await settle();
  await assertHome("a double click leads home");

  await browser.evaluate(`document.querySelector("canvas").focus()`);
  await press("ArrowLeft");
  await press("ArrowDown");
  assert.deepEqual(await pose(), { azimuth: -55, elevation: 35, zoom: 1, panX: 0, panY: 0 });
  await press("+");
  assert.ok((await pose()).zoom > 1.1);
  await press("Home");
  await settle(300);
  await assertHome("the Home key leads home");

  // With the view at its widest the wheel scrolls the page.
  const scrolled = await browser.evaluate("scrollY");
  await wheel(x, y, 200);
  await settle(400);
  assert.notEqual(await browser.evaluate("scrollY"), scrolled, "the page scrolls on");
}

async function checkReading(k, count) {
  await show(".stage", k);
  const view = await browser.evaluate(`JSON.parse(document.querySelectorAll(".surface-data")[${k}].textContent)`);
  const box = await boxOf("canvas", k);
  const pixel = (at) => browser.evaluate(`((canvas) => {
    const box = canvas.getBoundingClientRect();
    const [column, row] = [${at.x} - box.left, ${at.y} - box.top].map((c) => Math.floor((c * canvas.width) / box.width));
    return [...kept.seen.slice(4 * (row * canvas.width + column), 4 * (row * canvas.width + column) + 3)];
  })(${hosts}[${k}].querySelector("canvas"))`);
  await keep("seen", k);
  let [read, coloured, hidden] = [0, 0, 0];
  for (let j = 1; j < view.y.length - 1; j += Math.ceil(view.y.length / count)) {
    for (let i = 1; i < view.x.length - 1; i += Math.ceil(view.x.length / count)) {
      const value = view.z[j * view.x.length + i];
      const at = await node(i, j, k);
      assert.equal(at.value, value);
      if (value === null) {
        assert.equal(at.visible, false, "a hole is not in sight");
        continue;
      }
      await mouse("mouseMoved", at.x, at.y);
      const shown = numbersOf(await readout(k));
      const wanted = [view.x[i], view.y[j], value].map((v) => Number(v.toPrecision(6)));
      if (!at.visible) {
        assert.notDeepEqual(shown.slice(0, 2), wanted.slice(0, 2), "what is hidden is not read");
        hidden++;
        continue;
      }
      assert.deepEqual(shown.slice(0, 3), wanted, await readout(k));
      const marker = await boxOf(".marker", k);
      assert.ok(Math.hypot(marker.x + marker.width / 2 - at.x, marker.y + marker.height / 2 - at.y) < 1);
      read++;
      // Light scales a colour's channels, so their proportions tell the colour of the map.
      const [low, high] = [view.range[0], Math.min(view.range[1], view.cap ?? Infinity)];
      const scaled = view.log ? Math.log : (v) => v;
      const t = (scaled(Math.min(high, value)) - scaled(low)) / (scaled(high) - scaled(low));
      const n = view.colours.length;
      const colour = view.colours[Math.min(n - 1, Math.floor(t * n))];
      const expected = [1, 3, 5].map((c) => parseInt(colour.slice(c, c + 2), 16));
      const found = await pixel(at);
      const proportions = (rgb) => rgb.map((c) => c / Math.hypot(...rgb));
      const [a, b] = [proportions(expected), proportions(found)];
      if (a.every((c, channel) => Math.abs(c - b[channel]) < 0.12)) coloured++;
    }
  }
  assert.ok(read > 20, `${read} nodes in sight`);
  // Paths, labels and the edges of bands cover some.
  assert.ok(coloured > 0.85 * read, `${coloured} of ${read} nodes have the colour of their value`);
  await shoot(`read-${k}`);
  await mouse("mouseMoved", box.x - 3, box.y - 3);
  assert.deepEqual(numbersOf(await readout(k)), [], "the readout goes with the pointer");
  return { read, hidden };
}

async function checkLines() {
  await show(".plot");
  const panels = await browser.evaluate(`JSON.parse(document.querySelector(".hover-data").textContent)`);
  const { frame, x, y, y2, series } = panels[0];
  const fraction = (axis, value) => {
    const scaled = axis.log ? Math.log10 : (v) => v;
    return (scaled(value) - scaled(axis.range[0])) / (scaled(axis.range[1]) - scaled(axis.range[0]));
  };
  const tips = `[...document.querySelectorAll(".plot")[0].querySelectorAll(".tip:not([hidden]) .row")].map((row) => ({
    name: row.querySelector(".name").textContent,
    value: row.querySelector(".value").textContent,
    colour: getComputedStyle(row.querySelector(".swatch")).backgroundColor,
    nearest: row.classList.contains("nearest"),
  }))`;
  const place = (line, k, aside = 0) => {
    const axis = line.axis2 ? y2 : y;
    const at = [frame[0] + frame[2] * fraction(x, line.x[k]) + aside, frame[1] + frame[3] * (1 - fraction(axis, line.y[k]))];
    return browser.evaluate(`(({ x, y }) => ({ x, y }))(new DOMPoint(${at}).matrixTransform(
      document.querySelector(".plot svg").getScreenCTM()))`);
  };
  for (const line of series) {
    for (const k of [2, 11, 23, 37]) {
      // A little to the side still reads the point.
      const at = await place(line, k, 2);
      await mouse("mouseMoved", at.x, at.y);
      const rows = await browser.evaluate(tips);
      assert.equal(rows.length, series.length);
      assert.equal(await browser.evaluate(`document.querySelector(".tip .head").textContent`), `step = ${line.x[k]}`);
      rows.forEach((row, index) => {
        const { name, y: values, colour } = series[index];
        assert.equal(row.name, name);
        assert.equal(row.value, values[k].toPrecision(4), "four digits");
        const rgb = [1, 3, 5].map((c) => parseInt(colour.slice(c, c + 2), 16));
        assert.equal(row.colour, `rgb(${rgb.join(", ")})`);
        assert.equal(row.nearest, name === line.name, `${row.name} at ${k}`);
      });
      assert.equal(await browser.evaluate(`document.querySelectorAll(".plot")[0].querySelectorAll(".crosshair circle").length`), 3);
    }
  }
  await shoot("lines");
  // One line has no value at index 7: it answers with a neighbour, and every row says where.
  const gap = await place(series[0], 7);
  await mouse("mouseMoved", gap.x, gap.y);
  const rows = await browser.evaluate(tips);
  assert.match(rows[1].name, /\((300|400)\)$/);
  assert.match(rows[0].name, /\(350\)$/);
  const plot = await boxOf(".plot");
  await mouse("mouseMoved", plot.x - 5, plot.y - 5);
  assert.deepEqual(await browser.evaluate(tips), [], "the tip goes with the pointer");

  const touched = await place(series[0], 20);
  await browser.send("Emulation.setTouchEmulationEnabled", { enabled: true });
  await browser.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [touched] });
  await browser.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  assert.equal((await browser.evaluate(tips))[0].value, series[0].y[20].toPrecision(4), "a touch reads");
}

async function checkFingers() {
  await show(".stage");
  const box = await boxOf("canvas");
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const touch = (type, points) => browser.send("Input.dispatchTouchEvent", {
    type, touchPoints: points.map(([dx, dy], id) => ({ x: x + dx, y: y + dy, id })),
  });
  await touch("touchStart", [[-20, 0], [20, 0]]);
  for (const reach of [25, 30, 35, 40]) await touch("touchMove", [[-reach, 0], [reach, 0]]);
  await touch("touchEnd", []);
  await settle(300);
  const { zoom, azimuth } = await pose();
  assert.ok(Math.abs(zoom - 2) < 0.05, `two fingers zoom: ${zoom}`);
  assert.equal(azimuth, -60, "and do not turn");
  await touch("touchStart", [[0, 0]]);
  await touch("touchMove", [[10, 0]]);
  await touch("touchMove", [[25, 0]]);
  await touch("touchEnd", []);
  assert.ok((await pose()).azimuth < -60, "one finger turns");
  await browser.send("Emulation.setTouchEmulationEnabled", { enabled: false });
}

async function checkSheets() {
  await windowOf(width, 900);
  await browser.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
  await load();
  await settle();
  await shootWhole("dark");
  const grounds = await browser.evaluate(`["body", "figure"].map((name) => getComputedStyle(document.querySelector(name)).backgroundColor)`);
  assert.deepEqual(grounds, ["rgb(22, 24, 29)", "rgb(255, 255, 255)"]);
  await browser.send("Emulation.setEmulatedMedia", { media: "print", features: [] });
  await settle();
  const hidden = await browser.evaluate(`["nav", ".toolbar"].map((name) => getComputedStyle(document.querySelector(name)).display)`);
  assert.deepEqual(hidden, ["none", "none"]);
  const { data } = await browser.send("Page.printToPDF", { preferCSSPageSize: true });
  writeFileSync(join(folder, "print.pdf"), Buffer.from(data, "base64"));
  await browser.send("Emulation.setEmulatedMedia", { media: "", features: [] });

  await windowOf(390, 800, 2, true);
  await load();
  await settle();
  const overflow = await browser.evaluate("document.documentElement.scrollWidth - innerWidth");
  assert.ok(overflow <= 0, `the page is ${overflow} pixels too wide for a telephone`);
  const density = await browser.evaluate(`(({ width, clientWidth }) => width / clientWidth)(document.querySelector("canvas"))`);
  assert.ok(Math.abs(density - 2) < 0.02, "as sharp as the screen");
  await shootWhole("narrow");

  await windowOf(width, 900);
  await browser.send("Emulation.setScriptExecutionDisabled", { value: true });
  await load();
  await shootWhole("no-scripts");
  const seen = await browser.evaluate(`[document.querySelector(".remark").offsetHeight > 0,
    document.querySelector(".plot svg").getBoundingClientRect().height > 100, document.querySelectorAll("canvas").length]`);
  assert.deepEqual(seen, [true, true, 0]);
  await browser.send("Emulation.setScriptExecutionDisabled", { value: false });
}

const watchdog = setTimeout(() => {
  console.error("the browser took more than four minutes");
  browser.child.kill("SIGKILL");
}, 240_000);
try {
  await browser.openTab();
  await windowOf(width, 900);
  await load();
  await settle();
  await shootWhole("page");
  await checkTurning();
  const fine = await checkReading(0, 16);
  assert.ok(fine.hidden > 0, "some nodes are behind others");
  await checkReading(1, 12);
  await checkLines();
  await checkFingers();
  await checkSheets();
  assert.deepEqual(browser.complaints, []);
  console.log(`${fine.read} nodes read, ${fine.hidden} behind others; pictures in ${folder}`);
} finally {
  clearTimeout(watchdog);
  await browser.close();
}
