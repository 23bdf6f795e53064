// node gallery.mjs CHROMIUM PAGE FOLDER: what a page reads off is what its figures draw; screenshots go to FOLDER.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Chromium } from "./chromium.mjs";

const [program, page, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = new Chromium(program);

/** In the page: for each line, how many of its points lie on something drawn in its colour, and what the tip says. */
function readAll() {
  const shades = new Set(["stroke", "fill"]);
  const found = [];
  document.querySelectorAll(".hover-data").forEach((script, figure) => {
    const plot = script.previousElementSibling;
    const svg = plot.querySelector("svg");
    svg.scrollIntoView({ block: "center" });
    const toWindow = svg.getScreenCTM();
    for (const { frame: [left, top, width, height], x, y, y2, series } of JSON.parse(script.textContent)) {
      const fraction = (axis, value) => {
        const scaled = axis.log ? Math.log10 : (v) => v;
        return (scaled(value) - scaled(axis.range[0])) / (scaled(axis.range[1]) - scaled(axis.range[0]));
      };
      for (const line of series) {
        const [red, green, blue] = [1, 3, 5].map((k) => parseInt(line.colour.slice(k, k + 2), 16));
        const result = { figure, name: line.name, points: 0, drawn: 0, read: 0 };
        line.x.forEach((value, k) => {
          const [across, up] = [fraction(x, value), fraction((line.axis2 && y2) || y, line.y[k])];
          if (value === null || line.y[k] === null || !(across > 0.02 && across < 0.98 && up > 0.02 && up < 0.98)) return;
          const at = new DOMPoint(left + across * width, top + (1 - up) * height).matrixTransform(toWindow);
          result.points++;
          const near = [[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]];
          if (near.some(([dx, dy]) => document.elementsFromPoint(at.x + dx, at.y + dy).some((element) =>
            [...shades].some((shade) => getComputedStyle(element)[shade] === `rgb(${red}, ${green}, ${blue})`)))) {
            result.drawn++;
          }
          plot.dispatchEvent(new PointerEvent("pointermove", { clientX: at.x, clientY: at.y }));
          const row = plot.querySelector(".tip:not([hidden]) .nearest .value");
          const plain = row?.textContent.replace("−", "-").split("×")[0];
          const wanted = plain?.includes(".") && row.textContent.includes("×")
            ? line.y[k].toExponential(3).split("e")[0]
            : line.y[k].toPrecision(4);
          if (plain === wanted || (line.y[k] === 0 && plain === "0")) result.read++;
        });
        found.push(result);
      }
    }
  });
  return found;
}

try {
  await browser.openTab();
  await browser.send("Emulation.setDeviceMetricsOverride", { width: 1200, height: 1000, deviceScaleFactor: 1, mobile: false });
  await browser.load(page);
  await browser.shootWhole(join(folder, "gallery.png"));
  const lines = (await browser.evaluate(`(${readAll})()`)).filter(({ points }) => points > 0);
  assert.ok(lines.length > 10, `${lines.length} lines`);
  for (const { figure, name, points, drawn, read } of lines) {
    const where = `figure ${figure}, ${name}:`;
    // Dashes have gaps.
    assert.ok(drawn >= 0.6 * points, `${where} ${drawn} of ${points} points are where it is drawn`);
    // Where lines meet the nearest may be the other.
    assert.ok(read >= 0.6 * points, `${where} ${read} of ${points} points are read`);
  }
  assert.deepEqual(browser.complaints, []);
  console.log(`${lines.length} lines read`);
} finally {
  await browser.close();
}
