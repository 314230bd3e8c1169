// State space: the states of all trials on three principal axes, fixed points, and where the selected step is.
(function () {
    "use strict";
    const R = window.rnnscope, shared = R.shared;
    const MOST_NUMBERS = 40; // points with their numbers beside them; those of more are shown when pointed at
    const FAINT = "rgba(110,125,140,0.3)", NEAR = 9; // pixels at which a state is pointed at
    const SOME = 40; // trials whose lines are drawn; the points of all others are there
    const place = () => document.getElementById("view-space");
    // Plotly's trace numbers by name, in the order in which `draw` puts them.
    let traces = {}, painted = { rows: [], some: [], buckets: [] }, pointClicked = 0;

    const flat = () => shared.look.dims === "2" || shared.scene.axes < 3;
    // The axes that are drawn: two in the plane, three in space.
    const shownAxes = () => (flat() ? R.fields.axes().filter((k) => k < shared.scene.axes) : [0, 1, 2]);

    function colouring(scene) {
        const [name, number] = R.colour().split(":"), n = scene.trials * scene.time;
        const from = (f) => Array.from({ length: n }, (_, i) => f(i));
        const channel = (values) => from((i) => values[i * values.shape[2] + Number(number)]);
        if (name === "trial") return { values: from((i) => Math.floor(i / scene.time)), title: "trial" };
        if (name === "point") return { values: from((i) => scene.nearest[i]), classes: scene.points.number.map(String), title: "nearest fixed point" };
        if (name === "state" && scene.machineState) {
            const most = scene.machineState.reduce((a, b) => Math.max(a, b), 0);
            return { values: from((i) => scene.machineState[i]), classes: Array.from({ length: most + 1 }, (_, k) => String(k)), title: `machine state: ${scene.machineBy}` };
        }
        if (name === "label") {
            const label = scene.labels[R.colour().slice(6)];
            if (label) return { values: from((i) => label.row[Math.floor(i / scene.time)]), classes: label.levels, title: R.colour().slice(6) };
        }
        if (name === "unit" && shared.unitData) return { values: Array.from(shared.unitData.activity), title: `unit ${shared.unitData.unit}` };
        if (name === "input" && scene.inputs) return { values: channel(scene.inputs), title: `input ${number}` };
        if (name === "output" && scene.outputs) return { values: channel(scene.outputs), title: `output ${number}` };
        if (name === "target" && scene.targets) return { values: channel(scene.targets), title: `target ${number}` };
        return { values: from((i) => i % scene.time), title: "step" };
    }

    function colours({ values, classes }) {
        if (!classes) return { color: values, colorscale: R.SCALE };
        if (classes.length <= R.PALETTE.length) return { color: values.map((v) => (v < 0 ? "#BBBBBB" : R.PALETTE[v])) };
        return { color: values, colorscale: R.SCALE };
    }

    function coordinates(scene, rows, gap) {
        const chosen = shownAxes(), found = chosen.map(() => []);
        let before = null;
        for (const row of rows) {
            const trial = Math.floor(row / scene.time);
            if (gap && before !== null && trial !== before) found.forEach((axis) => axis.push(null));
            before = trial;
            chosen.forEach((axis, k) => {
                const value = scene.xyz[row * scene.axes + axis];
                found[k].push(Number.isNaN(value) ? null : value);
            });
        }
        return found;
    }

    function ofTrial(scene, trial) {
        return Array.from({ length: scene.length[trial] }, (_, t) => trial * scene.time + t);
    }

    function shownTrials(scene) {
        if (shared.look.trials === "one") return [shared.selected.trial];
        return Array.from({ length: scene.trials }, (_, i) => i);
    }

    function on(axes, more) {
        const [x, y, z] = axes, bare = (y || x.map(() => 0));
        return flat() ? { type: "scatter", x, y: bare, showlegend: false, ...more } : { type: "scatter3d", x, y: bare, z, showlegend: false, ...more };
    }

    function pointTraces(scene) {
        const points = scene.points, n = points.number.length, found = [];
        for (const [role, look] of Object.entries(R.ROLES)) {
            const rows = Array.from({ length: n }, (_, i) => i).filter((i) => points.role[i] === role);
            if (!rows.length) continue;
            const axes = shownAxes().map((axis) => rows.map((i) => points.xyz[i * scene.axes + axis]));
            found.push(on(axes, {
                name: `${role} (${rows.length})`, mode: flat() && n <= MOST_NUMBERS ? "markers+text" : "markers", showlegend: true,
                marker: { color: look.colour, symbol: flat() ? look.flat : look.symbol, size: flat() ? 11 : 7, line: { color: "white", width: 1 } },
                text: rows.map((i) => String(points.number[i])), textposition: "top center", textfont: { size: 11, color: R.INK },
                hovertext: rows.map((i) => `point ${points.number[i]}: ${role}, ${points.unstable[i]} unstable` + (points.input[i] && points.input[i].some((v) => v !== 0) ? `<br>at input ${points.input[i].slice(0, 4).map((v) => v.toPrecision(3)).join(" ")}` : "") + (points.certified[i] ? "<br>certified" : "")),
                hoverinfo: "text", customdata: rows.map((i) => ({ point: points.number[i] })),
            }));
        }
        return found;
    }

    // Unstable directions, both ways from each saddle, as long as a twelfth of the view.
    function directionTrace(scene) {
        const points = scene.points, [n, each] = points.directions.shape, chosen = shownAxes(), axes = chosen.map(() => []);
        const length = extent(scene) / 12;
        for (let i = 0; i < n; i++) {
            for (let d = 0; d < each; d++) {
                const way = chosen.map((axis) => points.directions[(i * each + d) * scene.axes + axis]);
                const size = Math.hypot(...way);
                if (!(size > 1e-9)) continue;
                for (const sign of [-1, 1]) {
                    axes.forEach((axis, k) => axis.push(points.xyz[i * scene.axes + chosen[k]] + (sign * length * way[k]) / size));
                }
                axes.forEach((axis) => axis.push(null));
            }
        }
        return on(axes, { mode: "lines", line: { color: "#D55E00", width: flat() ? 1.5 : 4 }, hoverinfo: "skip", connectgaps: false });
    }

    function connectionTrace(scene) {
        const paths = scene.connections.paths, [n, samples] = paths.shape, chosen = shownAxes(), axes = chosen.map(() => []);
        for (let i = 0; i < n; i++) {
            for (let s = 0; s < samples; s++) axes.forEach((axis, k) => axis.push(paths[(i * samples + s) * paths.shape[2] + chosen[k]]));
            axes.forEach((axis) => axis.push(null));
        }
        return on(axes, { mode: "lines", line: { color: "#444444", width: flat() ? 1 : 2.5, dash: flat() ? "dot" : "solid" }, hoverinfo: "skip" });
    }

    function extent(scene) {
        let most = 0;
        for (const value of scene.xyz) if (Math.abs(value) > most) most = Math.abs(value);
        return 2 * most || 1;
    }

    function lit(scene) {
        const { point, state } = shared.selected, rows = [];
        const index = point === null ? -1 : scene.points.number.indexOf(point);
        if (point === null && state === null) return rows;
        const trials = new Set(shownTrials(scene));
        for (let row = 0; row < scene.trials * scene.time; row++) {
            if (!trials.has(Math.floor(row / scene.time))) continue;
            if (state !== null && scene.machineState[row] !== state) continue;
            if (index >= 0 && scene.nearest[row] !== index) continue;
            rows.push(row);
        }
        return rows;
    }

    function draw() {
        const scene = shared.scene, layers = new Set(shared.look.layers), data = [];
        const add = (name, trace) => { traces[name] = data.length; data.push(trace); };
        traces = {};
        const trials = shownTrials(scene), rows = trials.flatMap((i) => ofTrial(scene, i));
        const colour = colouring(scene);
        painted = { rows, some: layers.has("lines") ? trials.slice(0, SOME) : [], buckets: buckets(rows, colour, scene) };
        if (flat()) add("states", on(corners(scene), { mode: "markers", marker: { opacity: 0 }, hoverinfo: "skip" }));
        else {
            const some = painted.some.flatMap((i) => ofTrial(scene, i)), all = colours(colour);
            if (some.length) add("lines", on(coordinates(scene, some, true), { mode: "lines", line: { color: FAINT, width: 1.5 }, hoverinfo: "skip" }));
            add("states", on(coordinates(scene, rows), {
                mode: "markers", marker: { ...all, color: rows.map((row) => all.color[row]), size: 1.8, opacity: R.fields.shown() ? 0.1 : 0.4 },
                hovertemplate: "trial %{customdata[0]}, step %{customdata[1]}<extra></extra>",
                customdata: rows.map((row) => [Math.floor(row / scene.time), row % scene.time]),
            }));
        }
        if (!flat()) R.fields.traces().forEach((trace, k) => add(`field ${k}`, trace));
        if (layers.has("connections") && scene.connections) add("connections", connectionTrace(scene));
        if (layers.has("directions") && scene.points.directions.shape[1]) add("directions", directionTrace(scene));
        if (layers.has("points")) for (const trace of pointTraces(scene)) add(trace.name, trace);
        const title = (k) => `PC${k + 1} (${(100 * scene.ratio[k]).toFixed(0)} %)`;
        const legend = { x: 0, y: 1, bgcolor: "rgba(255,255,255,0.7)", itemsizing: "constant", font: { size: 11 } };
        // What was zoomed or turned stays, as long as it is the same kind of view.
        const kept = { selections: [], selectionrevision: `${shared.run} ${shared.step} ${shared.scene.stamp}`, uirevision: `${shared.run} ${flat() ? shared.look.plane : "space"}` }, [a, b] = shownAxes();
        const shape = flat()
            ? { xaxis: { ...R.AXIS, title: { text: title(a), standoff: 6 } }, yaxis: { ...R.AXIS, title: { text: b === undefined ? "" : title(b), standoff: 4 }, scaleanchor: "x" }, dragmode: "pan" }
            : { scene: { ...space(title), annotations: numbers(scene, layers), uirevision: kept.uirevision }, margin: { l: 0, r: 0, t: 0, b: 0 } };
        window.Plotly.react(place(), data, R.layout({ ...kept, ...shape, showlegend: layers.has("points") && scene.points.number.length > 0, legend }), {
            ...R.config("state-space"), modeBarButtonsToRemove: ["resetCameraLastSave3d", "hoverClosest3d"], scrollZoom: true,
        }).then((graph) => { listen(graph); backdrop(); overlay(); });
        note(colour);
    }

    // Letters in WebGL take longer than all states.
    function numbers(scene, layers) {
        const points = scene.points, n = points.number.length;
        if (!layers.has("points") || n > MOST_NUMBERS) return [];
        return points.number.map((number, i) => ({ x: points.xyz[3 * i], y: points.xyz[3 * i + 1], z: points.xyz[3 * i + 2], text: String(number), showarrow: false, yshift: 11, font: { size: 11, color: R.INK } }));
    }

    function space(title) {
        const axis = (k) => ({ title: { text: title(k), font: { size: 11 } }, gridcolor: "#E3E8EE", linecolor: "#9AA5B1", zeroline: false, nticks: 5, tickfont: { size: 10 }, showspikes: false });
        return { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: "data", camera: { eye: { x: 1.5, y: 1.5, z: 0.85 }, center: { x: 0, y: 0, z: -0.12 } } };
    }

    function note({ title, classes }) {
        const where = document.getElementById("space-note");
        const swatches = classes && classes.length <= R.PALETTE.length
            ? classes.map((name, k) => `<span class="swatch invert" style="--colour:${R.PALETTE[k]}"></span>`).map((dot, k) => [dot, classes[k]])
            : [];
        const [low, high] = [...painted.buckets.range];
        where.textContent = `colour: ${title}` + (swatches.length || low === undefined ? "" : `, from ${low.toPrecision(3)} (dark) to ${high.toPrecision(3)} (light)`);
        for (const [dot, name] of swatches) {
            where.insertAdjacentHTML("beforeend", dot);
            where.append(name);
        }
        const words = document.getElementById("field-words");
        words.replaceChildren(...R.fields.words().flatMap((said, k, all) => (typeof said === "string" && k && typeof all[k - 1] === "string" ? ["; ", said] : [said])));
        words.title = words.textContent;
        words.classList.toggle("hidden", !words.textContent);
    }

    function listen(graph) {
        if (graph.rnnscopeListens) return;
        graph.rnnscopeListens = true;
        // More or fewer words below leave it another height.
        new ResizeObserver(() => {
            const full = graph._fullLayout;
            if (graph.offsetParent && full && Math.abs(full.height - graph.clientHeight) > 1) window.Plotly.Plots.resize(graph);
        }).observe(graph);
        graph.on("plotly_click", (event) => {
            const data = event.points[0].customdata;
            if (!data) return;
            pointClicked = performance.now();
            if (data.point !== undefined) R.select({ point: data.point === shared.selected.point ? null : data.point });
            else R.select({ trial: data[0], time: data[1] });
        });
        graph.on("plotly_selected", (event) => {
            R.pick(event ? painted.rows.filter(within(event)) : []);
        });
        graph.on("plotly_deselect", () => R.pick([]));
        for (const name of ["plotly_relayouting", "plotly_relayout", "plotly_afterplot"]) graph.on(name, () => { backdrop(); overlay(); });
        for (const name of ["wheel", "pointerdown", "pointerup"]) graph.addEventListener(name, follow, { passive: true });
        let down = null;
        graph.addEventListener("pointermove", (event) => { if (event.buttons) follow(); else pointAt(event); });
        graph.addEventListener("pointerleave", () => { graph.querySelector(".pointed-at")?.remove(); });
        graph.addEventListener("pointerdown", (event) => { down = [event.clientX, event.clientY]; }, true);
        graph.addEventListener("pointerup", (event) => {
            if (!down || !flat() || Math.hypot(event.clientX - down[0], event.clientY - down[1]) > 3) return;
            const row = nearestRow(event);
            // A fixed point that lies there is meant, which plotly reports at about the same time.
            setTimeout(() => {
                if (row === null || performance.now() - pointClicked < 200) return;
                R.select({ trial: Math.floor(row / shared.scene.time), time: row % shared.scene.time });
            }, 120);
        }, true);
    }

    // --- states in the plane, on a canvas below the figure ------------------------------------------------------------
    // A hundred thousand of them take a few hundredths of a second there. Plotly's WebGL would compile text, which the
    // page does not allow.

    function corners(scene) {
        const low = Array(scene.axes).fill(Infinity), high = Array(scene.axes).fill(-Infinity);
        scene.xyz.forEach((value, i) => {
            const k = i % scene.axes;
            if (value < low[k]) low[k] = value;
            if (value > high[k]) high[k] = value;
        });
        return shownAxes().map((k) => [low[k], high[k]]);
    }

    // Rows by colour: changing the colour of the pen costs more than a point.
    function buckets(rows, { values, classes }, scene) {
        const found = new Map();
        found.range = [];
        const put = (colour, row) => { if (!found.has(colour)) found.set(colour, []); found.get(colour).push(row); };
        if (classes && classes.length <= R.PALETTE.length) {
            for (const row of rows) put(values[row] < 0 ? "#BBBBBB" : R.PALETTE[values[row]], row);
            return found;
        }
        let low = Infinity, high = -Infinity;
        for (const row of rows) { if (values[row] < low) low = values[row]; if (values[row] > high) high = values[row]; }
        const scale = scene.scale, last = scale.length - 1;
        if (low <= high) found.range = [low, high];
        for (const row of rows) put(Number.isNaN(values[row]) ? "#BBBBBB" : scale[Math.round((last * (values[row] - low)) / (high - low || 1)) || 0], row);
        return found;
    }

    function plane(graph) {
        const { xaxis, yaxis } = graph._fullLayout || {};
        if (!xaxis || !yaxis) return null;
        const x0 = xaxis._offset + xaxis.l2p(0), y0 = yaxis._offset + yaxis.l2p(0), scene = shared.scene;
        const dx = xaxis.l2p(1) - xaxis.l2p(0), dy = yaxis.l2p(1) - yaxis.l2p(0), n = scene.axes, xyz = scene.xyz, [a, b] = shownAxes();
        const px = (value) => x0 + dx * value, py = (value) => y0 + dy * value;
        return { px, py, x: (row) => px(xyz[row * n + a]), y: (row) => py(b === undefined ? 0 : xyz[row * n + b]), xaxis, yaxis };
    }

    function backdrop() {
        const graph = place(), canvas = sheet(graph, "backdrop"), pen = canvas.getContext("2d");
        const at = flat() && graph.data ? plane(graph) : null, scene = shared.scene;
        if (!at) return;
        pen.save();
        pen.beginPath();
        pen.rect(at.xaxis._offset, at.yaxis._offset, at.xaxis._length, at.yaxis._length);
        pen.clip();
        R.fields.below(pen, at, scene.axes);
        pen.strokeStyle = FAINT;
        pen.lineWidth = 0.8;
        pen.beginPath();
        for (const trial of painted.some) ofTrial(scene, trial).forEach((row, k) => (k ? pen.lineTo(at.x(row), at.y(row)) : pen.moveTo(at.x(row), at.y(row))));
        pen.stroke();
        const size = painted.rows.length > 2e4 ? 2 : 3.4;
        pen.globalAlpha = R.fields.shown() ? 0.15 : 0.6;
        for (const [colour, rows] of painted.buckets) {
            pen.fillStyle = colour;
            for (const row of rows) pen.fillRect(at.x(row) - size / 2, at.y(row) - size / 2, size, size);
        }
        R.fields.above(pen, at);
        pen.restore();
    }

    // A canvas of the size of the figure, empty.
    function sheet(graph, name) {
        let canvas = graph.querySelector(`.${name}`);
        if (!canvas) {
            canvas = document.createElement("canvas");
            canvas.className = name;
            if (name === "backdrop") graph.prepend(canvas); else graph.append(canvas);
        }
        const ratio = window.devicePixelRatio || 1;
        canvas.width = graph.clientWidth * ratio;
        canvas.height = graph.clientHeight * ratio;
        canvas.getContext("2d").scale(ratio, ratio);
        return canvas;
    }

    function nearestRow(event) {
        const graph = place(), at = flat() && graph.data ? plane(graph) : null;
        if (!at) return null;
        const box = graph.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
        let best = null, least = NEAR * NEAR;
        for (const row of painted.rows) {
            const distance = (at.x(row) - x) ** 2 + (at.y(row) - y) ** 2;
            if (distance < least) { least = distance; best = row; }
        }
        return best;
    }

    let asked = 0;
    function pointAt(event) {
        cancelAnimationFrame(asked);
        asked = requestAnimationFrame(() => {
            const graph = place(), row = nearestRow(event);
            graph.querySelector(".pointed-at")?.remove();
            if (row === null) return;
            const box = graph.getBoundingClientRect(), at = plane(graph), label = document.createElement("div");
            label.className = "pointed-at";
            label.textContent = `trial ${Math.floor(row / shared.scene.time)}, step ${row % shared.scene.time}`;
            label.style.left = `${Math.min(at.x(row) + 8, box.width - 110)}px`;
            label.style.top = `${at.y(row) - 24}px`;
            graph.append(label);
        });
    }

    // Whether a state lies in a box or a lasso.
    function within(event) {
        const scene = shared.scene, n = scene.axes, [a, b] = shownAxes(), x = (row) => scene.xyz[row * n + a], y = (row) => (b === undefined ? 0 : scene.xyz[row * n + b]);
        if (event.range) {
            const [[x0, x1], [y0, y1]] = [event.range.x, event.range.y].map((pair) => [Math.min(...pair), Math.max(...pair)]);
            return (row) => x(row) >= x0 && x(row) <= x1 && y(row) >= y0 && y(row) <= y1;
        }
        if (!event.lassoPoints) return () => false;
        const { x: px, y: py } = event.lassoPoints;
        return (row) => {
            let inside = false;
            for (let i = 0, j = px.length - 1; i < px.length; j = i++) {
                if (py[i] > y(row) !== py[j] > y(row) && x(row) < ((px[j] - px[i]) * (y(row) - py[i])) / (py[j] - py[i]) + px[i]) inside = !inside;
            }
            return inside;
        };
    }

    // --- the selection, on a canvas above the figure --------------------------------------------------------------
    // Plotly would draw every state anew for each step of the cursor.

    // Where a state lies on the page, in pixels of the figure; null where it is out of view.
    function projection(graph) {
        const full = graph._fullLayout;
        if (!full) return null;
        if (flat()) {
            const { xaxis, yaxis } = full;
            if (!xaxis || !yaxis) return null;
            const [a, b] = shownAxes();
            return (...at) => [xaxis._offset + xaxis.l2p(at[a]), yaxis._offset + yaxis.l2p(b === undefined ? 0 : at[b])];
        }
        const scene = full.scene && full.scene._scene, camera = scene && scene.glplot && scene.glplot.cameraParams;
        if (!camera) return null;
        const scale = scene.dataScale, size = full._size;
        const times = (m, v) => [0, 1, 2, 3].map((i) => m[i] * v[0] + m[4 + i] * v[1] + m[8 + i] * v[2] + m[12 + i] * v[3]);
        const matrices = [camera.model, camera.view, camera.projection];
        // One matrix for all points.
        const columns = [0, 1, 2, 3].map((k) => matrices.reduce((v, m) => times(m, v), [0, 1, 2, 3].map((i) => Number(i === k))));
        return (x, y, z) => {
            const v = [x * scale[0], y * scale[1], z * scale[2], 1];
            const at = [0, 1, 3].map((i) => columns.reduce((sum, column, k) => sum + column[i] * v[k], 0));
            if (at[2] <= 0) return null;
            return [size.l + 0.5 * (1 + at[0] / at[2]) * size.w, size.t + 0.5 * (1 - at[1] / at[2]) * size.h];
        };
    }

    function overlay() {
        const graph = place(), scene = shared.scene;
        if (!scene || !graph || !graph.data) return;
        const pen = sheet(graph, "overlay").getContext("2d"), to = projection(graph), { trial, time, point } = shared.selected;
        if (!to) return;
        const row = (i) => to(scene.xyz[i * scene.axes], scene.axes > 1 ? scene.xyz[i * scene.axes + 1] : 0, scene.axes > 2 ? scene.xyz[i * scene.axes + 2] : 0);
        const dot = (at, radius, fill, edge, thick) => {
            if (!at) return;
            pen.beginPath();
            pen.arc(at[0], at[1], radius, 0, 2 * Math.PI);
            if (fill) { pen.fillStyle = fill; pen.fill(); }
            if (edge) { pen.strokeStyle = edge; pen.lineWidth = thick; pen.stroke(); }
        };
        const chosen = lit(scene);
        for (const i of chosen) dot(row(i), chosen.length > 4000 ? 1.6 : 2.6, "#E69F00");
        pen.beginPath();
        ofTrial(scene, trial).map(row).filter(Boolean).forEach(([x, y], k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
        pen.strokeStyle = R.INK;
        pen.lineWidth = 1.6;
        pen.stroke();
        if (shared.look.trials !== "one") {
            for (let i = 0; i < Math.min(scene.trials, SOME); i++) if (time < scene.length[i]) dot(row(i * scene.time + time), 2.6, R.INK);
        }
        const index = scene.points.number.indexOf(point);
        if (index >= 0) {
            const at = Array.from({ length: 3 }, (_, k) => (k < scene.axes ? scene.points.xyz[index * scene.axes + k] : 0));
            dot(to(...at), 10, null, R.INK, 2.5);
        }
        dot(row(trial * scene.time + Math.min(time, scene.length[trial] - 1)), 6, "#D0021B", "white", 2);
    }

    // While it is turned or zoomed the selection goes along.
    let following = 0;
    function follow() {
        cancelAnimationFrame(following);
        const until = performance.now() + 400;
        const step = () => { backdrop(); overlay(); if (performance.now() < until) following = requestAnimationFrame(step); };
        step();
    }

    function mark(_, changed) {
        if (changed.has("trial") && shared.look.trials === "one") R.whenPlotly(draw);
        else overlay();
    }

    Object.assign(window.rnnscope, { flat, backdrop });
    window.rnnscope.redrawSpace = () => { if (shared.scene) R.whenPlotly(draw); };
    R.view({
        first: true,
        draw: () => R.whenPlotly(draw),
        look: () => R.whenPlotly(draw),
        unit: () => { if (R.colour() === "unit") R.whenPlotly(draw); },
        mark,
    });
})();
