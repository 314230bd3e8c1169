// Draws a figure, and says which of its text is cut, overlaps, or is covered by the legend.

const SLACK = 0.6; // CSS pixels by which ink may reach over: antialiasing, and rounding of glyphs

// The four corners, on the screen, of the ink of each line of a text.
function lines(text) {
  const tspans = [...text.querySelectorAll('tspan.line')];
  return (tspans.length ? tspans : [text]).map((part) => quad(part, text)).filter((found) => found);
}

function quad(part, text) {
  const words = part.textContent.replace(/[\u200b\u00a0\s]+/g, ' ').trim();
  const n = words ? part.getNumberOfChars() : 0;
  const style = getComputedStyle(part);
  if (!n || style.visibility === 'hidden' || style.display === 'none' || hidden(part)) return null;
  const pen = (quad.pen ||= document.createElement('canvas').getContext('2d'));
  pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const ink = pen.measureText(words);
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < n; i++) {
    const [from, to] = [part.getStartPositionOfChar(i), part.getEndPositionOfChar(i)];
    left = Math.min(left, from.x); right = Math.max(right, to.x);
    top = Math.min(top, from.y - ink.actualBoundingBoxAscent);
    bottom = Math.max(bottom, from.y + ink.actualBoundingBoxDescent);
  }
  const to = part.getScreenCTM();
  const corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    .map(([x, y]) => new DOMPoint(x, y).matrixTransform(to)).map((p) => [p.x, p.y]);
  return { words, corners, owner: text, box: bounds(corners) };
}

function hidden(element) {
  for (let e = element; e && e.getAttribute; e = e.parentNode) {
    if (e.style && (e.style.display === 'none' || e.style.opacity === '0')) return true;
    if (e.getAttribute('opacity') === '0') return true;
  }
  return false;
}

function bounds(corners) {
  const [xs, ys] = [corners.map((p) => p[0]), corners.map((p) => p[1])];
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

// How far two convex quadrilaterals reach into each other, along the axis where it is least.
function depth(a, b) {
  let least = Infinity;
  for (const { corners } of [a, b]) {
    for (let i = 0; i < 2; i++) {
      const side = [corners[i + 1][0] - corners[i][0], corners[i + 1][1] - corners[i][1]];
      const length = Math.hypot(...side);
      if (!length) return 0;
      const along = (q) => q.corners.map((p) => (p[0] * side[1] - p[1] * side[0]) / length);
      const [s, t] = [along(a), along(b)];
      least = Math.min(least, Math.min(Math.max(...s), Math.max(...t)) - Math.max(Math.min(...s), Math.min(...t)));
    }
  }
  return least;
}

function past(box, frame) {
  return Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom);
}

// The rectangles that clip an element, on the screen.
function clips(element, root) {
  const found = [];
  for (let e = element; e && e !== root; e = e.parentNode) {
    const named = e.getAttribute && (e.getAttribute('clip-path') || '').match(/#([^"')]+)/);
    const rect = named && document.getElementById(named[1])?.querySelector('rect');
    if (!rect) continue;
    const [x, y, w, h] = ['x', 'y', 'width', 'height'].map((k) => +(rect.getAttribute(k) || 0));
    const to = e.getScreenCTM();
    found.push(bounds([[x, y], [x + w, y + h]].map(([p, q]) => new DOMPoint(p, q).matrixTransform(to)).map((p) => [p.x, p.y])));
  }
  return found;
}

// Places on the screen where data are drawn: markers, bars, and points along lines.
function places(root) {
  const found = [];
  const selector = '.points path, .barlayer path, .js-line, .errorbar path, .shapelayer path';
  for (const path of root.querySelectorAll(selector)) {
    if (path.closest('.legend')) continue;
    const line = path.classList.contains('js-line');
    if (!line) { const b = path.getBoundingClientRect(); found.push([(b.left + b.right) / 2, (b.top + b.bottom) / 2]); continue; }
    const length = path.getTotalLength(), to = path.getScreenCTM();
    for (let i = 0; i <= 60; i++) {
      const p = path.getPointAtLength(length * i / 60).matrixTransform(to);
      found.push([p.x, p.y]);
    }
  }
  return found;
}

async function measure(figure, size) {
  const start = performance.now();
  const root = document.body.appendChild(document.createElement('div'));
  document.body.style.margin = 0;
  const layout = { ...size, ...figure.layout };
  root.style.cssText = `position:absolute;left:0;top:0;width:${layout.width}px;height:${layout.height}px`;
  const config = { staticPlot: true, displayModeBar: false, showSendToCloud: false };
  await Plotly.newPlot(root, figure.data, { ...layout, autosize: false }, config);
  const frame = { left: 0, top: 0, right: layout.width, bottom: layout.height };
  const texts = [...root.querySelectorAll('svg text')].flatMap(lines);
  const legends = [...root.querySelectorAll('g.legend .bg')].map((e) => e.getBoundingClientRect());
  const cut = texts.filter((t) => past(t.box, frame) > SLACK || clips(t.owner, root).some((c) => past(t.box, c) > SLACK));
  const overlapping = [];
  for (let i = 0; i < texts.length; i++) {
    for (let j = i + 1; j < texts.length; j++) {
      const [a, b] = [texts[i], texts[j]];
      const near = a.box.left < b.box.right && b.box.left < a.box.right && a.box.top < b.box.bottom && b.box.top < a.box.bottom;
      if (near && a.owner !== b.owner && depth(a, b) > SLACK) overlapping.push([a.words, b.words]);
    }
  }
  const inside = (box, l) => box.left < l.right && box.right > l.left && box.top < l.bottom && box.bottom > l.top;
  const outer = texts.filter((t) => !t.owner.closest('.legend'));
  const covered = outer.filter((t) => legends.some((l) => inside(t.box, l)));
  const drawn = places(root);
  const under = drawn.filter(([x, y]) => legends.some((l) => x > l.left && x < l.right && y > l.top && y < l.bottom));
  Plotly.purge(root);
  root.remove();
  return {
    n_texts: texts.length, cut: cut.map((t) => t.words), overlapping, covered: covered.map((t) => t.words),
    hidden: drawn.length ? under.length / drawn.length : 0, seconds: (performance.now() - start) / 1000,
  };
}
