// One trial: what was shown, wanted and answered, and the activity of every unit, with a cursor at the selected step.
(function () {
    "use strict";
    const R = window.rnnscope, shared = R.shared;
    const FEW = 8; // channels drawn as lines; more are a picture
    const SHORT = 150; // steps up to which every target has a dot: thousands of dots take longer than all else
    let order = "number", rows = [];
    const trialPlace = () => document.getElementById("view-trial"), unitsPlace = () => document.getElementById("view-units");

    const column = (values, trial, k) => {
        const { scene } = shared, width = values.shape[2], found = [];
        for (let t = 0; t < scene.length[trial]; t++) found.push(values[(trial * scene.time + t) * width + k]);
        return found;
    };

    function panels() {
        const { scene, selected } = shared, found = [];
        const lines = (name, values, step) => {
            if (!values || !values.shape[2]) return;
            const width = Math.min(values.shape[2], FEW);
            const title = values.shape[2] > width ? `${name} 0–${width - 1} of ${values.shape[2]}` : name;
            found.push({ name: title, traces: Array.from({ length: width }, (_, k) => ({
                y: column(values, selected.trial, k).map((value) => (Number.isNaN(value) ? null : value)), mode: name === "target" && dotted(column(values, selected.trial, k)) ? "lines+markers" : "lines", marker: { size: 4 }, name: values.shape[2] > 1 ? `${name} ${k}` : name,
                line: { color: R.PALETTE[k % R.PALETTE.length], width: 1.6, shape: step ? "hvh" : "linear" },
            })) });
        };
        const many = shared.trialData && scene.channels > FEW && shared.trialData.trial === selected.trial;
        if (many) {
            const [steps, n] = shared.trialData.inputs.shape;
            const z = Array.from({ length: n }, (_, k) => Array.from({ length: steps }, (_, t) => shared.trialData.inputs[t * n + k]));
            found.push({ name: "inputs", traces: [{ type: "heatmap", z, colorscale: "RdBu", zmid: 0, showscale: false, hovertemplate: "step %{x}, input %{y}: %{z:.3g}<extra></extra>" }] });
        } else lines("input", scene.inputs, true);
        lines("target", scene.targets, true);
        lines("output", scene.outputs, false);
        return found;
    }

    // A target between two steps without one is no line: only its dot shows it.
    function dotted(values) {
        const there = (value) => value !== undefined && !Number.isNaN(value);
        return values.length <= SHORT || values.some((value, t) => there(value) && !there(values[t - 1]) && !there(values[t + 1]));
    }

    function drawTrial() {
        const found = panels(), n = found.length, data = [], shape = {};
        found.forEach((panel, row) => {
            const id = row ? row + 1 : "", top = 1 - row / n, height = 0.86 / n;
            for (const trace of panel.traces) data.push({ type: "scatter", xaxis: "x", yaxis: `y${id}`, hovertemplate: `step %{x}: %{y:.4g}<extra>${trace.name || panel.name}</extra>`, ...trace });
            shape[`yaxis${id}`] = { ...R.AXIS, domain: [Math.max(top - height, 0), top], title: { text: panel.name, standoff: 4, font: { size: 11 } }, nticks: 3, anchor: "x", tickfont: { size: 10 } };
        });
        const last = shared.scene.length[shared.selected.trial] - 1;
        const xaxis = { ...R.AXIS, title: { text: "step", standoff: 4 }, anchor: n > 1 ? `y${n}` : "y", range: [-0.5, last + 0.5] };
        window.Plotly.react(trialPlace(), data, R.layout({ ...shape, xaxis, margin: { l: 52, r: 10, t: 6, b: 34 }, dragmode: false, uirevision: `${shared.run} ${shared.selected.trial}` }), R.config("trial")).then((graph) => {
            onStep(graph);
            cursor(graph);
        });
    }

    const sorted = () => (order === "ablation" && !shared.scene.ablation ? "number" : order);

    // Units sorted by where they are most active, by how they load on the first axis, or by number.
    function ordered(states, steps, n) {
        const key = Array.from({ length: n }, (_, k) => k);
        if (order === "peak") {
            const peak = key.map((k) => { let best = 0; for (let t = 1; t < steps; t++) if (states[t * n + k] > states[best * n + k]) best = t; return best; });
            key.sort((a, b) => peak[a] - peak[b] || a - b);
        }
        if (order === "mean") {
            const mean = key.map((k) => { let sum = 0; for (let t = 0; t < steps; t++) sum += states[t * n + k]; return sum; });
            key.sort((a, b) => mean[a] - mean[b] || a - b);
        }
        if (order === "ablation" && shared.scene.ablation) {
            const change = shared.scene.ablation.change;
            key.sort((a, b) => change[a] - change[b] || a - b);
        }
        return key;
    }

    function drawUnits() {
        const found = shared.trialData;
        if (!found || found.trial !== shared.selected.trial) return;
        const [steps, n] = found.states.shape;
        rows = ordered(found.states, steps, n);
        const z = rows.map((k) => Array.from({ length: steps }, (_, t) => found.states[t * n + k]));
        const trace = { type: "heatmap", z, colorscale: "RdBu", zmid: 0, colorbar: { thickness: 8, len: 0.9, tickfont: { size: 10 }, nticks: 4 },
            customdata: rows.map((k) => Array(steps).fill(k)), hovertemplate: "unit %{customdata}, step %{x}: %{z:.3g}<extra></extra>" };
        const yaxis = { ...R.AXIS, title: { text: sorted() === "number" ? "unit" : `units by ${order}`, standoff: 4 }, showticklabels: sorted() === "number", nticks: 5, tickfont: { size: 10 } };
        const xaxis = { ...R.AXIS, title: { text: "step", standoff: 4 }, range: [-0.5, steps - 0.5] };
        window.Plotly.react(unitsPlace(), [trace], R.layout({ xaxis, yaxis, margin: { l: 46, r: 6, t: 6, b: 34 }, dragmode: false, uirevision: shared.run }), R.config("units")).then((graph) => {
            onStep(graph, true);
            cursor(graph);
            chosenUnit(graph);
        });
    }

    function onStep(graph, units) {
        if (graph.rnnscopeListens) return;
        graph.rnnscopeListens = true;
        graph.on("plotly_click", (event) => {
            const point = event.points[0];
            R.select(units ? { time: Math.round(point.x), unit: rows[Math.round(point.y)] } : { time: Math.round(point.x) });
        });
        graph.on("plotly_afterplot", () => { cursor(graph); if (units) chosenUnit(graph); });
    }

    // A line above the figure moves in no time; a shape within it would draw all of it anew.
    function line(graph, name) {
        let found = graph.querySelector(`.${name}`);
        if (!found) {
            found = document.createElement("div");
            found.className = name;
            graph.append(found);
        }
        return found;
    }

    function cursor(graph) {
        const full = graph._fullLayout;
        if (full && full.xaxis) R.cursorLine(graph, full.xaxis, full._size);
    }

    window.rnnscope.cursorLine = (graph, axis, size) => {
        const at = line(graph, "time-cursor"), x = axis.l2p(shared.selected.time);
        at.style.left = `${axis._offset + x}px`;
        at.style.top = `${size.t}px`;
        at.style.height = `${size.h}px`;
        at.style.display = x < 0 || x > axis._length ? "none" : "";
    };

    function chosenUnit(graph) {
        const full = graph._fullLayout, row = rows.indexOf(shared.selected.unit);
        const at = line(graph, "unit-cursor");
        at.style.display = row < 0 || !full ? "none" : "";
        if (row < 0 || !full) return;
        at.style.top = `${full.yaxis._offset + full.yaxis.l2p(row)}px`;
        at.style.left = `${full._size.l}px`;
        at.style.width = `${full._size.w}px`;
    }

    function mark(_, changed) {
        if (changed.has("trial")) R.whenPlotly(drawTrial);
        for (const graph of [trialPlace(), unitsPlace()]) if (graph.data) cursor(graph);
        if (changed.has("unit") && unitsPlace().data) chosenUnit(unitsPlace());
    }

    window.rnnscope.orderUnits = (value) => { order = value || "number"; R.whenPlotly(drawUnits); };
    R.view({
        draw: () => R.whenPlotly(drawTrial),
        trial: () => R.whenPlotly(() => { if (shared.scene.channels > FEW) drawTrial(); drawUnits(); }),
        mark,
    });
})();
