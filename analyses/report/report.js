"use strict";
const LOOK = {responsive: true, displaylogo: false, showSendToCloud: false};
// A page of a browser has some sixteen contexts of WebGL, which 3-D scenes take: those far away give theirs back.
const GL = new Set(["scatter3d", "surface", "mesh3d", "cone", "streamtube", "volume", "isosurface", "scattergl"]);
let plotly;

// plotly.js is packed in the page, and opened when the first figure comes into view.
function opened() {
  plotly ??= (async () => {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), c => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    window.PlotlyConfig = {MathJaxConfig: "local"};
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.appendChild(script);
  })();
  return plotly;
}

async function draw(place) {
  if (place.dataset.state) return;
  place.dataset.state = "drawing";
  try {
    await opened();
    const [data, layout] = JSON.parse(document.getElementById(`data-${place.dataset.figure}`).textContent);
    place.dataset.gl = data.some(trace => GL.has(trace.type)) ? "yes" : "";
    await Plotly.newPlot(place, data, layout, LOOK);
    place.dataset.state = "drawn";
  } catch (error) {
    place.textContent = `The figure cannot be drawn: ${error}`;
  }
}

const places = [...document.querySelectorAll("figure[data-figure]")];
const near = new IntersectionObserver(seen => {
  for (const {target, isIntersecting} of seen) {
    if (isIntersecting) draw(target);
    else if (target.dataset.gl === "yes" && target.dataset.state === "drawn") {
      Plotly.purge(target);
      target.replaceChildren();
      target.dataset.state = "";
    }
  }
}, {rootMargin: "600px"});
places.forEach(place => near.observe(place));

// 3-D scenes become pictures, so that all of them are there at once.
async function drawAll() {
  near.disconnect();
  for (const place of places) {
    await draw(place);
    if (place.dataset.gl === "yes" && place.dataset.state === "drawn") {
      const {width, height} = place.getBoundingClientRect();
      const picture = new Image();
      picture.src = await Plotly.toImage(place, {format: "png", width, height, scale: 2});
      await picture.decode();
      picture.style.cssText = "width: 100%; height: 100%";
      Plotly.purge(place);
      place.replaceChildren(picture);
      place.dataset.state = "picture";
    }
  }
  document.documentElement.dataset.drawn = "all";
}
document.getElementById("print").addEventListener("click", () => drawAll().then(() => window.print()));
