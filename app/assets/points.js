// The eigenvalues of the fixed points, the tuning of a unit, and training: the smaller of the linked views.
(function () {
    "use strict";
    const R = window.rnnscope, shared = R.shared;
    const eigenPlace = () => document.getElementById("view-eigenvalues");
    let roleTraces = [], chosenTrace = null;

    function modes(rows) {
        const { points } = shared.scene, [, each] = points.real.shape, x = [], y = [], data = [], text = [];
        for (const i of rows) {
            for (let k = 0; k < each; k++) {
                const real = points.real[i * each + k], imaginary = points.imaginary[i * each + k];
                x.push(real);
                y.push(imaginary);
                data.push({ point: points.number[i] });
                const size = Math.hypot(real, imaginary), rate = -1 / Math.log(size);
                text.push(`point ${points.number[i]}, mode ${k}<br>λ = ${real.toPrecision(3)}${imaginary < 0 ? " − " : " + "}${Math.abs(imaginary).toPrecision(3)}i, |λ| = ${size.toPrecision(4)}<br>time constant ${Number.isFinite(rate) ? rate.toPrecision(3) : "∞"} steps`);
            }
        }
        return { x, y, customdata: data, hovertext: text, hoverinfo: "text" };
    }

    function drawEigenvalues() {
        const { points } = shared.scene, n = points.number.length, data = [];
        const note = document.getElementById("eigenvalues-note");
        note.textContent = n ? points.source : "";
        const angle = Array.from({ length: 181 }, (_, i) => (2 * Math.PI * i) / 180);
        data.push({ type: "scatter", x: angle.map(Math.cos), y: angle.map(Math.sin), mode: "lines", line: { color: "#9AA5B1", width: 1 }, hoverinfo: "skip" });
        roleTraces = [];
        for (const [role, look] of Object.entries(R.ROLES)) {
            const rows = Array.from({ length: n }, (_, i) => i).filter((i) => points.role[i] === role);
            if (!rows.length) continue;
            roleTraces.push(data.length);
            data.push({ type: "scatter", mode: "markers", ...modes(rows), marker: { color: look.colour, symbol: look.flat, size: 5, opacity: 0.6 } });
        }
        chosenTrace = data.length;
        data.push({ type: "scatter", mode: "markers", ...chosen(), marker: { color: R.INK, symbol: "circle-open", size: 11, line: { width: 2 } } });
        const annotations = n ? [] : [{ text: points.source, showarrow: false, x: 0, y: 0, font: { color: "#5B6675" } }];
        window.Plotly.react(eigenPlace(), data, R.layout({
            annotations, uirevision: shared.run,
            xaxis: { ...R.AXIS, title: { text: "Re λ", standoff: 4 } },
            yaxis: { ...R.AXIS, title: { text: "Im λ", standoff: 4 }, scaleanchor: "x" },
        }), R.config("eigenvalues")).then((graph) => {
            if (graph.rnnscopeListens) return;
            graph.rnnscopeListens = true;
            graph.on("plotly_click", (event) => {
                const data = event.points[0].customdata;
                if (data) R.select({ point: data.point === shared.selected.point ? null : data.point });
            });
        });
    }

    function chosen() {
        const row = shared.scene.points.number.indexOf(shared.selected.point);
        return modes(row < 0 ? [] : [row]);
    }

    function markEigenvalues(_, changed) {
        if (!changed.has("point") || !eigenPlace().data) return;
        const found = chosen(), some = shared.selected.point !== null;
        window.Plotly.restyle(eigenPlace(), { x: [found.x], y: [found.y], hovertext: [found.hovertext], customdata: [found.customdata] }, [chosenTrace]);
        if (roleTraces.length) window.Plotly.restyle(eigenPlace(), { "marker.opacity": some ? 0.25 : 0.6 }, roleTraces);
    }

    // --- a unit ---------------------------------------------------------------------------------------------------

    function tuning(found) {
        const { scene } = shared, by = scene.machineState ? [scene.machineState, "machine state"] : [scene.nearest, "nearest fixed point"];
        const sum = new Map();
        for (let row = 0; row < by[0].length; row++) {
            const value = found.activity[row], key = by[0][row];
            if (key < 0 || Number.isNaN(value)) continue;
            const at = sum.get(key) || [0, 0, 0];
            sum.set(key, [at[0] + 1, at[1] + value, at[2] + value * value]);
        }
        const keys = [...sum.keys()].sort((a, b) => a - b);
        const name = by[1] === "machine state" ? String : (key) => String(scene.points.number[key]);
        const mean = keys.map((key) => sum.get(key)[1] / sum.get(key)[0]);
        const spread = keys.map((key, i) => Math.sqrt(Math.max(sum.get(key)[2] / sum.get(key)[0] - mean[i] ** 2, 0)));
        return { keys: keys.map(name), mean, spread, title: by[1] };
    }

    function drawUnit(found) {
        const place = document.getElementById("view-unit"), note = document.getElementById("unit-note");
        place.classList.toggle("hidden", !found);
        if (!found) { note.textContent = "click a unit in the picture of all units"; return; }
        const { scene } = shared, by = tuning(found), coupled = (values) => ({ x: Array.from(values, (_, k) => k), y: Array.from(values) });
        const few = { showline: true, nticks: 4, tickfont: { size: 10 } }, title = (text) => ({ text, standoff: 3, font: { size: 11 } });
        const data = [
            { type: "bar", x: by.keys, y: by.mean, error_y: { type: "data", array: by.spread, thickness: 1, width: 2, color: R.INK }, marker: { color: "#56B4E9" }, hovertemplate: `${by.title} %{x}: %{y:.3g}<extra>mean ± standard deviation</extra>` },
            { type: "bar", ...coupled(found.from), xaxis: "x2", yaxis: "y2", marker: { color: "#0072B2" }, hovertemplate: "from unit %{x}: %{y:.3g}<extra></extra>" },
            { type: "bar", ...coupled(found.to), xaxis: "x3", yaxis: "y3", marker: { color: "#D55E00" }, hovertemplate: "to unit %{x}: %{y:.3g}<extra></extra>" },
        ];
        window.Plotly.react(place, data, R.layout({
            bargap: 0.15, margin: { l: 46, r: 8, t: 6, b: 34 },
            yaxis: { ...R.AXIS, ...few, domain: [0.74, 1], title: title("activity") }, xaxis: { ...R.AXIS, type: "category", anchor: "y", title: title(by.title), tickfont: { size: 10 } },
            yaxis2: { ...R.AXIS, ...few, domain: [0.34, 0.54], title: title("∂ from") }, xaxis2: { ...R.AXIS, anchor: "y2", showticklabels: false },
            yaxis3: { ...R.AXIS, ...few, domain: [0, 0.2], title: title("∂ to") }, xaxis3: { ...R.AXIS, anchor: "y3", title: title("unit (couplings at the mean state)"), tickfont: { size: 10 } },
        }), R.config("unit")).then((graph) => {
            if (graph.rnnscopeListens) return;
            graph.rnnscopeListens = true;
            graph.on("plotly_click", (event) => {
                const point = event.points[0];
                if (point.curveNumber > 0) R.select({ unit: Math.round(point.x) });
                else if (shared.scene.machineState) R.select({ state: Number(point.x) });
                else R.select({ point: Number(point.x) });
            });
        });
        const loss = scene.ablation ? `; without it the outputs change by ${scene.ablation.change[found.unit].toPrecision(2)} ± ${scene.ablation.error[found.unit].toPrecision(1)}` : "";
        note.textContent = note.title = `unit ${found.unit}${constant(found)}${loss}`;
    }

    // How long it remembers itself while the task drives it, and how fast it would decay alone.
    function constant(found) {
        const { value, error, longest, moves } = found.timeConstant, own = found.from[found.unit];
        if (!moves) return ", does not move in these trials";
        const said = value === 0 ? ", time constant below one step" : value === undefined ? `, autocorrelation above 1/e up to ${longest} steps` : `, time constant ${value.toPrecision(3)}${error === undefined ? "" : ` ± ${error.toPrecision(1)}`} steps (autocorrelation at 1/e${error === undefined ? "" : ", one standard error"})`;
        return said + (own > 0 && own < 1 ? `, alone ${(-1 / Math.log(own)).toPrecision(2)}` : "");
    }

    R.view({
        draw: () => { R.whenPlotly(drawEigenvalues); if (shared.selected.unit === null) drawUnit(null); },
        unit: (found) => R.whenPlotly(() => drawUnit(found)),
        mark: (selected, changed) => R.whenPlotly(() => markEigenvalues(selected, changed)),
    });

    // --- training -------------------------------------------------------------------------------------------------

    let over = null; // the first exponent at checkpoints, where it is known

    function drawLoss(scene) {
        const place = document.getElementById("view-loss"), { step, loss } = scene.loss, seen = loss.filter((v) => v !== null && v > 0);
        const log = seen.length > 0 && seen.length === loss.filter((v) => v !== null).length;
        const data = [{ type: "scatter", x: step, y: loss, mode: "lines", line: { color: "#0072B2", width: 1.4 }, hovertemplate: "step %{x}: %{y:.3g}<extra></extra>" },
            { type: "scatter", x: scene.steps, y: scene.steps.map(() => (log ? Math.min(...seen) : 0)), mode: "markers", hovertemplate: "checkpoint at step %{x}: click to look<extra></extra>",
                marker: { symbol: "triangle-up", size: 9, color: scene.steps.map((s) => (s === scene.step ? "#D0021B" : "#9AA5B1")) } }];
        const more = {};
        if (over) {
            const finite = (values) => Array.from(values, (v) => (Number.isFinite(v) ? v : null));
            data.push({ type: "scatter", x: over.step, y: finite(over.first), yaxis: "y2", mode: "lines+markers", marker: { size: 4, color: "#D55E00" }, line: { color: "#D55E00", width: 1.2, dash: "dot" },
                error_y: { type: "data", array: finite(over.error).map((v) => (v === null ? null : 2 * v)), thickness: 1, width: 2, color: "#D55E00" }, hovertemplate: "λ₁ at step %{x}: %{y:.3f} ± %{error_y.array:.1g} (two standard errors)<extra></extra>" });
            more.yaxis2 = { ...R.AXIS, gridcolor: "rgba(0,0,0,0)", overlaying: "y", side: "right", title: { text: "λ₁ (nats / step)", standoff: 4, font: { size: 11, color: "#D55E00" } }, tickmode: "auto", nticks: 4, tickfont: { size: 10 }, tickformat: ".2~f" };
        }
        window.Plotly.react(place, data, R.layout({ margin: { l: 52, r: over ? 66 : 10, t: 6, b: 44 }, uirevision: shared.run, xaxis: { ...R.AXIS, title: { text: "training step", standoff: 3 } },
            yaxis: { ...R.AXIS, type: log ? "log" : "linear", title: { text: "loss", standoff: 4 }, nticks: 4, tickfont: { size: 10 } }, ...more }), R.config("loss")).then((graph) => {
            if (graph.rnnscopeListens) return;
            graph.rnnscopeListens = true;
            graph.on("plotly_click", (event) => {
                const steps = shared.scene.steps, near = steps.reduce((a, b) => (Math.abs(b - event.points[0].x) < Math.abs(a - event.points[0].x) ? b : a));
                window.dash_clientside.set_props("step-slider", { value: steps.indexOf(near) });
            });
        });
    }

    R.view({
        draw: (scene) => { over = null; R.whenPlotly(() => drawLoss(scene)); },
        beside: (found) => { over = found.overTraining; if (over) R.whenPlotly(() => drawLoss(shared.scene)); },
    });
})();
