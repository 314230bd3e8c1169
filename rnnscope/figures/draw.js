// What the page does in which figures are drawn: one SVG of each figure, and from it whatever else is wanted.

// plotly.js names its clip paths at random. With the same numbers for every figure, the same figure is the same text.
function sameNumbers() {
  let state = 1;
  Math.random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

// Nor does a browser keep the order of attributes from one drawing to the next.
function inOrder(svg) {
  return svg.replace(/<([\w:-]+)((?:\s+[\w:-]+="[^"]*")+)(\s*\/?)>/g, (_, tag, attributes, end) => {
    const each = attributes.match(/[\w:-]+="[^"]*"/g).sort();
    return `<${tag} ${each.join(" ")}${end}>`;
  });
}

// The name of the figure, for those who find the file alone.
function titled(svg, title) {
  const words = title.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return svg.replace(/>/, `><title>${words}</title>`);
}

async function picture(svg) {
  const image = new Image();
  image.src = "data:image/svg+xml," + encodeURIComponent(svg);
  await image.decode();
  return image;
}

// {svg: text, png: base64}, of what is wanted of the two. For a PDF the figure is left on the page, which is printed.
async function draw(figure, wanted) {
  sameNumbers();
  const {title, width, height, scale, formats, pixels} = wanted;
  const config = {staticPlot: true, plotGlPixelRatio: pixels};
  const how = {format: "svg", width, height, imageDataOnly: true};
  const svg = inOrder(await Plotly.toImage({data: figure.data, layout: figure.layout, config}, how));
  const drawn = {};
  if (formats.includes("svg")) drawn.svg = titled(svg, title);
  if (formats.includes("png")) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.getContext("2d").drawImage(await picture(svg), 0, 0, canvas.width, canvas.height);
    drawn.png = canvas.toDataURL("image/png").split(",")[1];
  }
  if (formats.includes("pdf")) {
    const image = await picture(svg);
    image.style.cssText = `display: block; width: ${width}px; height: ${height}px`;
    document.title = title;
    document.body.replaceChildren(image);
  }
  return drawn;
}
