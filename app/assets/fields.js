// What lies around the visited states: the flow in a plane through one of them, and the basins of the attractors.
(function () {
    "use strict";
    const R = window.rnnscope, shared = R.shared;
    const ARROW = "#14405F", HEAD = 0.32; // part of an arrow that its head takes
    const SEVERAL = 4; // basins whose shares are said in words
    let flow = null, beside = null, asked = 0;

    const axes = () => shared.look.plane.split("").map((digit) => Number(digit) - 1);

    // The name of the plane that the look and the selection ask for; null where none is.
    function through() {
        const { look, selected } = shared;
        if (look.flow === "mean") return "mean";
        if (look.flow === "point") return selected.point === null ? null : `point-${selected.point}`;
        if (look.flow === "state") return `state-${selected.trial}-${selected.time}`;
        return null;
    }

    const key = () => `${shared.run} ${shared.scene.stamp} ${shared.step} ${shared.look.plane} ${through()}`;

    async function readFlow() {
        if (!shared.scene) return;
        const place = through(), wanted = key(), turn = ++asked;
        if (place === null || shared.scene.axes < 2) { if (flow) { flow = null; R.redrawSpace(); } return; }
        if (flow && flow.key === wanted) return;
        const found = await R.get(`_flow/${encodeURIComponent(shared.run)}/${shared.look.plane}/${place}${R.query(shared.step)}`).catch((error) => ({ error: error.message }));
        if (turn !== asked || wanted !== key()) return;
        flow = { ...found, key: wanted };
        if (!found.error) flow.flow = R.unpack(found.flow);
        R.redrawSpace();
    }

    let waiting = null;
    function soon() { clearTimeout(waiting); waiting = setTimeout(readFlow, 120); }

    async function readBeside() {
        const { run, step } = shared;
        const found = await R.get(`_beside/${encodeURIComponent(run)}${R.query(step)}`).catch(R.report);
        if (!found || run !== shared.run || step !== shared.step) return;
        beside = { ...found, run, step };
        if (found.basins) for (const name of ["xyz", "attractor"]) found.basins[name] = R.unpack(found.basins[name]);
        if (found.exponents) for (const name of ["value", "error"]) found.exponents[name] = R.unpack(found.exponents[name]);
        if (found.overTraining) for (const name of ["first", "error"]) found.overTraining[name] = R.unpack(found.overTraining[name]);
        R.each("beside", beside);
        if (shared.look.layers.includes("basins")) R.redrawSpace();
    }

    const ours = () => (beside && beside.run === shared.run && beside.step === shared.step ? beside : null);
    const basins = () => (shared.look.layers.includes("basins") && ours() && ours().basins) || null;
    const current = () => (flow && !flow.error && flow.key === key() ? flow : null);

    // --- basins ---------------------------------------------------------------------------------------------------

    function colourOf(found, attractor) {
        if (attractor < 0) return "#BBBBBB";
        if (found.number.length <= R.PALETTE.length) return R.PALETTE[attractor];
        const scale = shared.scene.scale;
        return scale[Math.round((attractor * (scale.length - 1)) / Math.max(found.number.length - 1, 1))];
    }

    function named(found, k) {
        return found.number[k] >= 0 ? `point ${found.number[k]}` : found.period[k] > 1 ? `a cycle of period ${found.period[k]}` : "a point that is not listed";
    }

    // Starts by attractor, those of the selected point last and at full strength.
    function grouped(found) {
        const groups = new Map(), { point } = shared.selected;
        found.attractor.forEach((attractor, row) => { if (!groups.has(attractor)) groups.set(attractor, []); groups.get(attractor).push(row); });
        const chosen = (attractor) => point !== null && attractor >= 0 && found.number[attractor] === point;
        return [...groups].sort((a, b) => chosen(a[0]) - chosen(b[0])).map(([attractor, rows]) => ({ attractor, rows, chosen: chosen(attractor), colour: colourOf(found, attractor) }));
    }

    // --- on the canvas of the plane -------------------------------------------------------------------------------

    function below(pen, at, n) {
        const found = basins(), [a, b] = axes();
        if (!found) return;
        const some = shared.selected.point !== null && found.number.includes(shared.selected.point);
        for (const { rows, colour, chosen } of grouped(found)) {
            pen.fillStyle = colour;
            pen.globalAlpha = chosen ? 0.9 : some ? 0.12 : 0.5;
            for (const row of rows) pen.fillRect(at.px(found.xyz[row * n + a]) - 3, at.py(found.xyz[row * n + b]) - 3, 6, 6);
        }
        pen.globalAlpha = 1;
    }

    function above(pen, at) {
        const [a, b] = axes(), field = current();
        if (!field || field.axes[0] !== a || field.axes[1] !== b) return;
        const dx = Math.abs(at.px(field.x[1]) - at.px(field.x[0])), dy = Math.abs(at.py(field.y[1]) - at.py(field.y[0]));
        const scale = Math.min(dx, dy) / longest(field, Math.abs(at.px(1) - at.px(0)), Math.abs(at.py(1) - at.py(0)));
        pen.globalAlpha = 1;
        pen.strokeStyle = pen.fillStyle = ARROW;
        pen.lineWidth = 1.3;
        each(field, (x, y, u, v) => arrow(pen, at.px(x), at.py(y), scale * (at.px(x + u) - at.px(x)), scale * (at.py(y + v) - at.py(y))));
    }

    function each(field, then) {
        const wide = field.x.length;
        field.y.forEach((y, j) => field.x.forEach((x, i) => {
            const u = field.flow[(j * wide + i) * 2], v = field.flow[(j * wide + i) * 2 + 1];
            if (!Number.isNaN(u)) then(x, y, u, v);
        }));
    }

    // All but the longest twentieth of the arrows fit beside one another; those are cut to the same length.
    function longest(field, sx, sy) {
        const sizes = [];
        each(field, (x, y, u, v) => sizes.push(Math.hypot(u * sx, v * sy)));
        sizes.sort((a, b) => a - b);
        return sizes[Math.floor(0.95 * (sizes.length - 1))] || 1;
    }

    function arrow(pen, x, y, dx, dy) {
        const size = Math.hypot(dx, dy);
        if (size < 0.7) { pen.fillRect(x - 0.7, y - 0.7, 1.4, 1.4); return; }
        const most = 34, cut = Math.min(1, most / size), ex = x + dx * cut, ey = y + dy * cut, head = Math.min(HEAD * size * cut, 5);
        const turn = Math.atan2(dy, dx);
        pen.beginPath();
        pen.moveTo(x, y);
        pen.lineTo(ex, ey);
        pen.stroke();
        pen.beginPath();
        pen.moveTo(ex, ey);
        for (const side of [-1, 1]) pen.lineTo(ex - head * Math.cos(turn + side * 0.45), ey - head * Math.sin(turn + side * 0.45));
        pen.fill();
    }

    // --- in space -------------------------------------------------------------------------------------------------

    function traces() {
        const found = [], scene = shared.scene, sampled = basins(), field = current();
        if (sampled) {
            for (const { rows, colour, chosen } of grouped(sampled)) {
                const axis = (k) => rows.map((row) => sampled.xyz[row * scene.axes + k]);
                found.push({ type: "scatter3d", x: axis(0), y: axis(1), z: axis(2), mode: "markers", showlegend: false, hoverinfo: "skip", marker: { color: colour, size: 2.6, symbol: "square", opacity: chosen ? 0.9 : 0.3 } });
            }
        }
        if (field) {
            const lines = [[], [], []], dots = [[], [], []], gap = Math.min(field.x[1] - field.x[0], field.y[1] - field.y[0]), scale = gap / longest(field, 1, 1);
            each(field, (x, y, u, v) => {
                const from = [...field.rest], to = [...field.rest], cut = scale * Math.min(1, (1.5 * gap) / (scale * Math.hypot(u, v)) || 1);
                [from[field.axes[0]], from[field.axes[1]]] = [x, y];
                [to[field.axes[0]], to[field.axes[1]]] = [x + cut * u, y + cut * v];
                for (let k = 0; k < 3; k++) { lines[k].push(from[k], to[k], null); dots[k].push(from[k]); }
            });
            found.push({ type: "scatter3d", x: lines[0], y: lines[1], z: lines[2], mode: "lines", showlegend: false, hoverinfo: "skip", line: { color: ARROW, width: 2 } });
            found.push({ type: "scatter3d", x: dots[0], y: dots[1], z: dots[2], mode: "markers", showlegend: false, hoverinfo: "skip", marker: { color: ARROW, size: 1.6 } });
        }
        return found;
    }

    // --- in words -------------------------------------------------------------------------------------------------

    const percent = (value) => `${(100 * value).toFixed(value < 0.1 || (value > 0.99 && value < 1) ? 1 : 0)} %`;
    const held = (input) => (input ? `, ${input}` : "");
    const last = () => { const { scene } = shared; return scene.step === scene.steps.at(-1); };
    const wanting = (name, analysis) => (last() ? `no ${name} are known: run the analysis ${analysis}` : `no ${name} of this checkpoint are kept: the analysis ${analysis} was asked of another`);

    function words() {
        const found = [], sampled = basins();
        if (shared.look.flow !== "off") {
            const field = current(), [a, b] = axes();
            if (flow && flow.error && flow.key === key()) found.push(flow.error);
            else if (shared.look.flow === "point" && shared.selected.point === null) found.push("flow: select a point for its plane to go through");
            else if (shared.scene.axes < 2) found.push("a flow needs two axes");
            else if (field && !field.inside) found.push(`flow along PC${a + 1} and PC${b + 1}${held(field.input)}: no state of this plane within view is one that the network can be in`);
            else if (field) found.push(`flow along PC${a + 1} and PC${b + 1}${held(field.input)}; arrows stand on the ${percent(field.inside)} of the plane where the network can be; there ${percent(field.outOfPlane)} of the squared steps lead out of it` + (R.flat() ? "" : "; a step begins at its dot"));
        }
        if (shared.look.layers.includes("basins")) {
            if (!ours()) found.push("basins are being read");
            else if (!sampled) found.push(wanting("basins", "basins"));
            else {
                const order = sampled.fraction.map((_, k) => k).sort((p, q) => sampled.fraction[q] - sampled.fraction[p]);
                found.push(`basins (squares) of ${sampled.attractor.length.toLocaleString("en")} starts, ${sampled.drawnFrom}${held(sampled.input)}: `);
                for (const k of order.slice(0, SEVERAL)) {
                    const swatch = Object.assign(document.createElement("span"), { className: "swatch square invert" });
                    swatch.style.setProperty("--colour", colourOf(sampled, k));
                    found.push(swatch, `${named(sampled, k)}: ${percent(sampled.fraction[k])} (${percent(sampled.low[k])} to ${percent(sampled.high[k])}) `);
                }
                const open = sampled.attractor.filter((k) => k < 0).length / sampled.attractor.length;
                found.push((order.length > SEVERAL ? `and ${order.length - SEVERAL} more` : "") + (open ? `; ${percent(open)} settled nowhere (grey)` : ""));
            }
        }
        return found;
    }

    // Whether states step back for what lies around them.
    const anything = () => Boolean(basins() || current());

    R.fields = { axes, below, above, traces, words, wanting, shown: anything };
    R.view({ first: true, draw: () => { beside = null; } });
    R.view({
        draw: () => { readBeside(); soon(); },
        look: soon,
        mark: (_, changed) => {
            const { flow: where } = shared.look;
            if ((where === "point" && changed.has("point")) || (where === "state" && (changed.has("time") || changed.has("trial")))) soon();
            if (changed.has("point") && basins()) R.backdrop();
        },
    });
})();
