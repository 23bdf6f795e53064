// Chromium over the DevTools protocol through a pipe: no package and no port.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
  "--remote-debugging-pipe",
];

export class Chromium {
  constructor(program) {
    this.profile = mkdtempSync(join(tmpdir(), "relief-browser-"));
    this.child = spawn(program, [...FLAGS, `--user-data-dir=${this.profile}`], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    this.ended = new Promise((resolve) => {
      this.child.once("exit", resolve);
      this.child.once("error", resolve);
    });
    this.ended.then((reason) => this.failAll(new Error(`the browser ended: ${reason}`)));
    this.waiting = new Map();
    /** Whatever a page should not do: errors, words on the console, requests. */
    this.complaints = [];
    this.listeners = new Set([(method, params) => this.note(method, params)]);
    this.count = 0;
    let rest = "";
    this.child.stdio[3].on("error", () => {});
    this.child.stdio[4].setEncoding("utf8").on("data", (chunk) => {
      const messages = (rest + chunk).split("\0");
      rest = messages.pop();
      for (const message of messages) this.receive(JSON.parse(message));
    });
  }

  receive({ id, result, error, method, params }) {
    if (id === undefined) {
      for (const listener of this.listeners) listener(method, params);
      return;
    }
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) reject(new Error(error.message));
    else resolve(result);
  }

  note(method, params) {
    const { complaints } = this;
    if (method === "Runtime.exceptionThrown") complaints.push(params.exceptionDetails.exception?.description);
    if (method === "Runtime.consoleAPICalled") complaints.push(`console.${params.type}: ${params.args[0]?.value}`);
    if (method === "Log.entryAdded") complaints.push(params.entry.text);
    if (method === "Network.requestWillBeSent" && !/^(file|data):/.test(params.request.url)) {
      complaints.push(`asked the network for ${params.request.url}`);
    }
  }

  failAll(error) {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  send(method, params = {}, sessionId = this.session) {
    const id = ++this.count;
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  once(wanted) {
    return new Promise((resolve) => {
      const listener = (method, params) => {
        if (method !== wanted) return;
        this.listeners.delete(listener);
        resolve(params);
      };
      this.listeners.add(listener);
    });
  }

  async openTab() {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    this.session = (await this.send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await this.send(`${domain}.enable`);
  }

  /** The value of an expression in the page, promises awaited. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression, awaitPromise: true, returnByValue: true,
    });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  async load(page) {
    const loaded = this.once("Page.loadEventFired");
    await this.send("Page.navigate", { url: pathToFileURL(page).href });
    await loaded;
  }

  async shoot(file, clip) {
    const { data } = await this.send("Page.captureScreenshot", clip ? { captureBeyondViewport: true, clip } : {});
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  async shootWhole(file) {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    await this.shoot(file, { ...cssContentSize, scale: 1 });
  }

  async close() {
    this.send("Browser.close", {}, undefined).catch(() => {});
    const patience = setTimeout(() => this.child.kill("SIGKILL"), 5000);
    await this.ended;
    clearTimeout(patience);
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
