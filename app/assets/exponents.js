// Lyapunov exponents: the spectrum with its errors, and the growth over the last few steps along the selected trial.
(function () {
    "use strict";
    const R = window.rnnscope, shared = R.shared;
    const MOST = 64; // exponents that are drawn
    const place = () => document.getElementById("view-exponents");
    let spectrum = null, known = false, along = null, turn = 0;

    async function readGrowth() {
        const { run, step, selected } = shared, trial = selected.trial, mine = ++turn;
        place().classList.add("stale");
        const found = await R.get(`_growth/${encodeURIComponent(run)}/${trial}${R.query(step)}`).catch((error) => ({ error: error.message }));
        if (mine !== turn || run !== shared.run || step !== shared.step || trial !== shared.selected.trial) return;
        place().classList.remove("stale");
        along = found.error ? found : { ...found, along: R.unpack(found.along) };
        R.whenPlotly(draw);
    }

    function note() {
        const said = [];
        if (spectrum) said.push(spectrum.summary);
        else if (known) said.push(R.fields.wanting("exponents", "lyapunov"));
        if (along && along.error) said.push(along.error);
        const where = document.getElementById("exponents-note");
        where.textContent = where.title = said.join(" ");
        place().setAttribute("aria-label", `Lyapunov exponents: ${said.join(" ")}`);
    }

    function draw() {
        if (!shared.scene) return;
        const data = [], small = { tickfont: { size: 10 }, nticks: 5 }, title = (text) => ({ text, standoff: 4, font: { size: 11 } });
        if (spectrum) {
            const n = Math.min(spectrum.value.length, MOST), k = Array.from({ length: n }, (_, i) => i + 1), value = k.map((i) => spectrum.value[i - 1]);
            const error = k.map((i) => (Number.isFinite(spectrum.error[i - 1]) ? 2 * spectrum.error[i - 1] : null));
            data.push({ type: "scatter", mode: "markers", x: k, y: value.map((v) => (Number.isFinite(v) ? v : null)), error_y: { type: "data", array: error, thickness: 1, width: 2, color: R.INK },
                marker: { size: 6, color: "#0072B2", symbol: k.map((i) => (spectrum.converged[i - 1] ? "circle" : "circle-open")) },
                text: k.map((i) => (spectrum.converged[i - 1] ? "converged" : "not converged")), hovertemplate: "λ<sub>%{x}</sub> = %{y:.4f} ± %{error_y.array:.1g} (two standard errors)<br>%{text}<extra></extra>" });
        }
        if (along && along.along) {
            const y = Array.from(along.along, (v) => (Number.isFinite(v) ? v : null));
            data.push({ type: "scatter", mode: "lines", x: y.map((_, t) => t), y, xaxis: "x2", yaxis: "y2", line: { color: "#D55E00", width: 1.5 }, hovertemplate: `steps up to %{x}: %{y:.3f}<extra>over ${along.window} steps</extra>` });
        }
        const zero = (id) => ({ type: "line", xref: `x${id} domain`, yref: `y${id}`, x0: 0, x1: 1, y0: 0, y1: 0, line: { color: "#9AA5B1", width: 1, dash: "dot" } });
        const last = shared.scene.length[shared.selected.trial] - 1;
        window.Plotly.react(place(), data, R.layout({
            shapes: [zero(""), zero("2")], dragmode: false, margin: { l: 56, r: 10, t: 8, b: 42 },
            xaxis: { ...R.AXIS, ...small, domain: [0, 0.4], title: title("exponent") }, yaxis: { ...R.AXIS, ...small, title: title("λ (nats / step)") },
            xaxis2: { ...R.AXIS, ...small, domain: [0.5, 1], anchor: "y2", range: [-0.5, last + 0.5], title: title("step of the trial") },
            yaxis2: { ...R.AXIS, ...small, anchor: "x2", title: title(along && along.window ? `growth over ${along.window} steps` : "growth") },
        }), R.config("exponents")).then((graph) => {
            cursor();
            if (graph.rnnscopeListens) return;
            graph.rnnscopeListens = true;
            graph.on("plotly_click", (event) => { if (event.points[0].data.xaxis === "x2") R.select({ time: Math.round(event.points[0].x) }); });
            graph.on("plotly_afterplot", cursor);
        });
        note();
    }

    function cursor() {
        const graph = place(), full = graph._fullLayout;
        if (full && full.xaxis2) R.cursorLine(graph, full.xaxis2, full._size);
    }

    R.view({
        draw: () => { spectrum = along = null; known = false; note(); R.whenPlotly(draw); readGrowth(); },
        beside: (found) => { spectrum = found.exponents; known = true; R.whenPlotly(draw); },
        mark: (_, changed) => { if (changed.has("trial")) readGrowth(); if (place().data) cursor(); },
    });
})();
