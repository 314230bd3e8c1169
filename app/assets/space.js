// State space: the states of all trials on three principal axes, fixed points, and where the selected step is.
(function () {
    "use strict";
    const R = window.rnnscope, shared = R.shared;
    const SOME = 40; // trials whose lines are drawn; the points of all others are there
    const place = () => document.getElementById("view-space");
    // Plotly's trace numbers by name, in the order in which `draw` puts them.
    let traces = {}, stateRows = null;

    const flat = () => shared.look.dims === "2" || shared.scene.axes < 3;

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
        const found = Array.from({ length: scene.axes }, () => []);
        let before = null;
        for (const row of rows) {
            const trial = Math.floor(row / scene.time);
            if (gap && before !== null && trial !== before) found.forEach((axis) => axis.push(null));
            before = trial;
            for (let k = 0; k < scene.axes; k++) {
                const value = scene.xyz[row * scene.axes + k];
                found[k].push(Number.isNaN(value) ? null : value);
            }
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
        return flat() ? { type: "scattergl", x, y: bare, showlegend: false, ...more } : { type: "scatter3d", x, y: bare, z, showlegend: false, ...more };
    }

    function pointTraces(scene) {
        const points = scene.points, n = points.number.length, found = [];
        const coordinate = (i) => Array.from({ length: scene.axes }, (_, k) => points.xyz[i * scene.axes + k]);
        for (const [role, look] of Object.entries(R.ROLES)) {
            const rows = Array.from({ length: n }, (_, i) => i).filter((i) => points.role[i] === role);
            if (!rows.length) continue;
            const axes = Array.from({ length: scene.axes }, (_, k) => rows.map((i) => coordinate(i)[k]));
            found.push(on(axes, {
                name: `${role} (${rows.length})`, mode: n <= 40 ? "markers+text" : "markers", showlegend: true,
                marker: { color: look.colour, symbol: flat() ? look.flat : look.symbol, size: flat() ? 11 : 7, line: { color: "white", width: 1 } },
                text: rows.map((i) => String(points.number[i])), textposition: "top center", textfont: { size: 11, color: R.INK },
                hovertext: rows.map((i) => `point ${points.number[i]}: ${role}, ${points.unstable[i]} unstable` + (points.certified[i] ? "<br>certified" : "")),
                hoverinfo: "text", customdata: rows.map((i) => ({ point: points.number[i] })),
            }));
        }
        return found;
    }

    // Unstable directions, both ways from each saddle, as long as a twelfth of the view.
    function directionTrace(scene) {
        const points = scene.points, [n, each] = points.directions.shape, axes = Array.from({ length: scene.axes }, () => []);
        const length = extent(scene) / 12;
        for (let i = 0; i < n; i++) {
            for (let d = 0; d < each; d++) {
                const way = Array.from({ length: scene.axes }, (_, k) => points.directions[(i * each + d) * scene.axes + k]);
                const size = Math.hypot(...way);
                if (!(size > 1e-9)) continue;
                for (const sign of [-1, 1]) {
                    axes.forEach((axis, k) => axis.push(points.xyz[i * scene.axes + k] + (sign * length * way[k]) / size));
                }
                axes.forEach((axis) => axis.push(null));
            }
        }
        return on(axes, { mode: "lines", line: { color: "#D55E00", width: flat() ? 1.5 : 4 }, hoverinfo: "skip", connectgaps: false });
    }

    function connectionTrace(scene) {
        const paths = scene.connections.paths, [n, samples] = paths.shape, axes = Array.from({ length: scene.axes }, () => []);
        for (let i = 0; i < n; i++) {
            for (let s = 0; s < samples; s++) axes.forEach((axis, k) => axis.push(paths[(i * samples + s) * paths.shape[2] + k]));
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

    function cursor(scene) {
        const { trial, time } = shared.selected;
        return coordinates(scene, [trial * scene.time + Math.min(time, scene.length[trial] - 1)]);
    }

    function swarm(scene) {
        if (shared.look.trials === "one") return coordinates(scene, []);
        const rows = [];
        for (let i = 0; i < Math.min(scene.trials, SOME); i++) {
            if (shared.selected.time < scene.length[i]) rows.push(i * scene.time + shared.selected.time);
        }
        return coordinates(scene, rows);
    }

    function chosenPoint(scene) {
        const index = scene.points.number.indexOf(shared.selected.point);
        if (index < 0) return coordinates(scene, []);
        return Array.from({ length: scene.axes }, (_, k) => [scene.points.xyz[index * scene.axes + k]]);
    }

    function draw() {
        const scene = shared.scene, layers = new Set(shared.look.layers), data = [];
        const add = (name, trace) => { traces[name] = data.length; data.push(trace); };
        traces = {};
        const trials = shownTrials(scene), rows = trials.flatMap((i) => ofTrial(scene, i));
        stateRows = rows;
        if (layers.has("lines")) {
            const some = trials.slice(0, SOME).flatMap((i) => ofTrial(scene, i));
            add("lines", on(coordinates(scene, some, true), { mode: "lines", line: { color: "rgba(110,125,140,0.35)", width: flat() ? 0.8 : 1.5 }, hoverinfo: "skip" }));
        }
        const colour = colouring(scene), all = colours(colour);
        const marker = { ...all, color: rows.map((row) => all.color[row]), size: flat() ? (rows.length > 2e4 ? 2.5 : 4) : 1.8, opacity: flat() ? 0.6 : 0.4 };
        add("states", on(coordinates(scene, rows), {
            mode: "markers", marker, hovertemplate: "trial %{customdata[0]}, step %{customdata[1]}<extra></extra>",
            customdata: rows.map((row) => [Math.floor(row / scene.time), row % scene.time]),
        }));
        add("lit", on(coordinates(scene, lit(scene)), { mode: "markers", marker: { color: "#E69F00", size: flat() ? 6 : 3.4, line: { width: 0 } }, hoverinfo: "skip" }));
        add("trial", on(coordinates(scene, ofTrial(scene, shared.selected.trial)), { mode: "lines", line: { color: R.INK, width: flat() ? 1.8 : 4 }, hoverinfo: "skip" }));
        if (layers.has("connections") && scene.connections) add("connections", connectionTrace(scene));
        if (layers.has("directions") && scene.points.directions.shape[1]) add("directions", directionTrace(scene));
        if (layers.has("points")) for (const trace of pointTraces(scene)) add(trace.name, trace);
        add("swarm", on(swarm(scene), { mode: "markers", marker: { color: R.INK, size: flat() ? 6 : 3.5, opacity: 0.8 }, hoverinfo: "skip" }));
        add("chosen", on(chosenPoint(scene), { mode: "markers", marker: { symbol: "circle-open", color: R.INK, size: flat() ? 20 : 11, line: { width: 2.5, color: R.INK } }, hoverinfo: "skip" }));
        add("cursor", on(cursor(scene), { mode: "markers", marker: { color: "#D0021B", size: flat() ? 12 : 7, line: { color: "white", width: 2 } }, hoverinfo: "skip" }));
        const title = (k) => `PC${k + 1} (${(100 * scene.ratio[k]).toFixed(0)} %)`;
        const legend = { x: 0, y: 1, bgcolor: "rgba(255,255,255,0.7)", itemsizing: "constant", font: { size: 11 } };
        // What was zoomed or turned stays, as long as it is the same kind of view.
        const kept = { uirevision: `${shared.run} ${flat()}` };
        const shape = flat()
            ? { xaxis: { ...R.AXIS, title: { text: title(0), standoff: 6 } }, yaxis: { ...R.AXIS, title: { text: scene.axes > 1 ? title(1) : "", standoff: 4 }, scaleanchor: "x" }, dragmode: "pan" }
            : { scene: { ...space(title), uirevision: kept.uirevision }, margin: { l: 0, r: 0, t: 0, b: 0 } };
        window.Plotly.react(place(), data, R.layout({ ...kept, ...shape, showlegend: layers.has("points") && scene.points.number.length > 0, legend }), {
            ...R.config("state-space"), modeBarButtonsToRemove: ["resetCameraLastSave3d", "hoverClosest3d"], scrollZoom: true,
        }).then(listen);
        note(colour);
    }

    function space(title) {
        const axis = (k) => ({ title: { text: title(k), font: { size: 11 } }, gridcolor: "#E3E8EE", linecolor: "#9AA5B1", zeroline: false, nticks: 5, tickfont: { size: 10 }, showspikes: false });
        return { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: "data", camera: { eye: { x: 1.5, y: 1.5, z: 0.85 }, center: { x: 0, y: 0, z: -0.12 } } };
    }

    function note({ title, classes }) {
        const where = document.getElementById("space-note");
        const swatches = classes && classes.length <= R.PALETTE.length
            ? classes.map((name, k) => `<span class="swatch" style="--colour:${R.PALETTE[k]}"></span>`).map((dot, k) => [dot, classes[k]])
            : [];
        where.textContent = `colour: ${title}`;
        for (const [dot, name] of swatches) {
            where.insertAdjacentHTML("beforeend", dot);
            where.append(name);
        }
    }

    function listen(graph) {
        if (graph.rnnscopeListens) return;
        graph.rnnscopeListens = true;
        graph.on("plotly_click", (event) => {
            const data = event.points[0].customdata;
            if (!data) return;
            if (data.point !== undefined) R.select({ point: data.point === shared.selected.point ? null : data.point });
            else R.select({ trial: data[0], time: data[1] });
        });
        graph.on("plotly_selected", (event) => {
            if (!event) { R.pick([]); return; }
            R.pick(event.points.filter((point) => point.curveNumber === traces.states).map((point) => stateRows[point.pointNumber]));
        });
        graph.on("plotly_deselect", () => R.pick([]));
    }

    function restyle(name, axes) {
        const change = { x: [axes[0]], y: [axes[1] || axes[0].map(() => 0)] };
        if (!flat()) change.z = [axes[2]];
        return [traces[name], change];
    }

    // One call for all traces that change: a redraw each would cost a frame each.
    function move(changes) {
        const known = changes.filter(([trace]) => trace !== undefined);
        if (!known.length || !place().data) return;
        const merged = {};
        for (const axis of Object.keys(known[0][1])) merged[axis] = known.map(([, change]) => change[axis][0]);
        window.Plotly.restyle(place(), merged, known.map(([trace]) => trace));
    }

    function mark(selected, changed) {
        const scene = shared.scene;
        if (changed.has("trial") && shared.look.trials === "one") { R.whenPlotly(draw); return; }
        const changes = [];
        if (changed.has("trial")) changes.push(restyle("trial", coordinates(scene, ofTrial(scene, selected.trial))));
        if (changed.has("trial") || changed.has("time")) changes.push(restyle("cursor", cursor(scene)), restyle("swarm", swarm(scene)));
        if (changed.has("point")) changes.push(restyle("chosen", chosenPoint(scene)));
        if (changed.has("point") || changed.has("state")) changes.push(restyle("lit", coordinates(scene, lit(scene))));
        R.whenPlotly(() => move(changes));
    }

    R.view({
        draw: () => R.whenPlotly(draw),
        look: () => R.whenPlotly(draw),
        unit: () => { if (R.colour() === "unit") R.whenPlotly(draw); },
        mark,
    });
})();
