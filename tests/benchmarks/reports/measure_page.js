// What test_browser.py puts into a copy of a report: it measures the page and hands the facts to the page around it.

document.querySelectorAll("details").forEach((part) => { part.open = true; });

const seen = (node) => {
  const box = node.getBoundingClientRect();
  return box.width > 0 && box.height > 0;
};

// Contrast as WCAG 2 defines it, of an ink against the nearest paper behind the node.
const numbers = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
const light = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const paper = numbers(getComputedStyle(at).backgroundColor);
    if (paper.length === 3) return paper; // four numbers: see-through
  }
  return [255, 255, 255];
};
const contrast = (node, ink) => {
  const [a, b] = [light(numbers(ink)), light(behind(node))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const words = (node) =>
  [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data.trim()).join(" ").trim();
const inks = [];
for (const node of document.querySelectorAll("body *")) {
  if (!words(node) || !seen(node) || ["SCRIPT", "STYLE", "title"].includes(node.tagName)) continue;
  const drawn = node.namespaceURI.endsWith("svg");
  if (drawn && node.classList.contains("count")) continue; // stands on a cell of a matrix, whose shade varies
  const style = getComputedStyle(node);
  inks.push([contrast(drawn ? node.closest("section") : node, drawn ? style.fill : style.color), words(node)]);
}

// Words of a plot that leave it, or that lie on each other; slanted ones have no upright box to compare.
const plots = [...document.querySelectorAll("svg.plot")].filter(seen);
const cut = [];
const covered = [];
for (const plot of plots) {
  const frame = plot.getBoundingClientRect();
  const before = [];
  for (const word of plot.querySelectorAll("text")) {
    const box = word.getBoundingClientRect();
    const inside = box.left > frame.left - 1 && box.right < frame.right + 1;
    if (!inside || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) cut.push(word.textContent);
    if (word.hasAttribute("transform")) continue;
    for (const [other, name] of before) {
      const across = Math.min(box.right, other.right) - Math.max(box.left, other.left);
      const down = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
      if (across > 1 && down > 4) covered.push(`${name} / ${word.textContent}`); // 4 px of a line are its leading
    }
    before.push([box, word.textContent]);
  }
}

const wide = [...document.querySelectorAll("main *")].filter(
  (node) => seen(node) && !node.closest(".scroll") && node.getBoundingClientRect().right > innerWidth + 1,
);
const rows = {};
for (const row of document.querySelectorAll("section[id] tbody tr")) {
  const { id } = row.closest("section");
  if (seen(row)) rows[id] = (rows[id] || 0) + 1;
}

const facts = {
  name: window.name,
  width: innerWidth,
  scroll: document.documentElement.scrollWidth,
  wide: wide.slice(0, 5).map((node) => node.outerHTML.slice(0, 90)),
  ink: getComputedStyle(document.body).color,
  paper: getComputedStyle(document.body).backgroundColor,
  faintest: inks.sort((a, b) => a[0] - b[0])[0],
  cut,
  covered,
  rows,
  plots: plots.map((plot) => {
    const box = plot.getBoundingClientRect();
    return [plot.getAttribute("aria-label"), box.width, box.height];
  }),
  requests: performance.getEntriesByType("resource").map((entry) => entry.name),
};
const note = parent.document.createElement("pre");
note.className = "facts";
note.textContent = JSON.stringify(facts);
parent.document.body.append(note);
