// Shared by the figures' scripts: an element with its text, and numbers as a reader wants them.

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function powerOfTen(exponent) {
  const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[digit]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

/** `value` to `digits` significant digits; `trim` drops zeros at the end of the fraction. */
function formatNumber(value, digits, trim = false) {
  if (value === 0) return "0";
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const exponent = Number(power);
  const plain = exponent >= -4 && exponent < digits;
  let text = plain ? value.toFixed(Math.max(0, digits - 1 - exponent)) : mantissa;
  if (trim && text.includes(".")) text = text.replace(/\.?0+$/, "");
  return (plain ? text : `${text}×${powerOfTen(exponent)}`).replace("-", "−");
}

/** A coordinate: whole numbers (steps, indices) in full, others to six digits. */
function formatCoordinate(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e9
    ? String(value).replace("-", "−")
    : formatNumber(value, 6, true);
}

/** About `count` round values in [low, high]; their texts leave out a common power of ten, which `suffix` names. */
function linearTicks(low, high, count) {
  const raw = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 5, 10].find((multiple) => multiple * unit >= raw * 0.999);
  const exponent = Math.floor(Math.log10(Math.max(Math.abs(low), Math.abs(high))));
  const shift = exponent >= 5 || exponent <= -3 ? exponent : 0;
  const decimals = Math.min(20, Math.max(0, shift - Math.floor(Math.log10(step) + 1e-9)));
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k <= Math.floor(high / step + 1e-9); k++) {
    const text = ((k * step) / 10 ** shift).toFixed(decimals);
    ticks.push({ value: k * step, text: text.replace("-", "−") });
  }
  return { ticks, shift, suffix: shift ? ` (×${powerOfTen(shift)})` : "" };
}

/** Powers of ten in [low, high]; 1, 2 and 5 times them, or linear ticks, where those would be too few. */
function logTicks(low, high, count) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const ticks = [];
  if (last - first >= 2) {
    const stride = Math.ceil((last - first) / count);
    for (let e = first; e <= last; e += stride) ticks.push({ value: 10 ** e, text: powerOfTen(e) });
    return { ticks, shift: 0, suffix: "" };
  }
  for (let e = first - 1; e <= last; e++) {
    for (const multiple of [1, 2, 5]) {
      const value = multiple * 10 ** e;
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) {
        ticks.push({ value, text: formatNumber(value, 1, true) });
      }
    }
  }
  return ticks.length >= 3 ? { ticks, shift: 0, suffix: "" } : linearTicks(low, high, count);
}
