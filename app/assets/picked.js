// What a box or lasso caught: how many states of which trials, where they are, and a table to take away.
(function () {
    "use strict";
    const R = window.rnnscope, shared = R.shared;
    const MOST = 200; // rows that the page shows; the file has all

    function rowsOf(picked) {
        const { scene } = shared;
        return picked.map((row) => ({
            trial: Math.floor(row / scene.time), step: row % scene.time,
            point: scene.nearest[row] < 0 ? "" : scene.points.number[scene.nearest[row]],
            state: scene.machineState && scene.machineState[row] >= 0 ? scene.machineState[row] : "",
            at: Array.from({ length: scene.axes }, (_, k) => scene.xyz[row * scene.axes + k]),
        }));
    }

    function counted(rows, name) {
        const found = new Map();
        for (const row of rows) found.set(row[name], (found.get(row[name]) || 0) + 1);
        found.delete("");
        return [...found].sort((a, b) => b[1] - a[1]).slice(0, 4).map(([key, n]) => `${key} (${n.toLocaleString("en")})`).join(", ") + (found.size > 4 ? ", …" : "");
    }

    function show(picked) {
        const place = document.getElementById("picked"), table = document.getElementById("picked-rows");
        place.classList.toggle("hidden", !picked.length);
        table.replaceChildren();
        if (!picked.length) return;
        const rows = rowsOf(picked), trials = new Set(rows.map((row) => row.trial));
        const parts = [`${rows.length.toLocaleString("en")} states of ${trials.size} trials`];
        if (shared.scene.points.number.length) parts.push(`nearest points: ${counted(rows, "point")}`);
        if (shared.scene.machineState) parts.push(`machine states: ${counted(rows, "state")}`);
        document.getElementById("picked-note").textContent = parts.join("; ");
        for (const row of rows.slice(0, MOST)) {
            const line = document.createElement("tr");
            for (const value of [row.trial, row.step, row.point, row.state, ...row.at.map((v) => v.toFixed(3))]) line.insertCell().textContent = value;
            line.onclick = () => R.select({ trial: row.trial, time: row.step });
            table.append(line);
        }
    }

    window.rnnscope.savePicked = (name) => {
        const rows = rowsOf(shared.picked), axes = Array.from({ length: shared.scene.axes }, (_, k) => `pc${k + 1}`);
        const lines = rows.map((row) => [row.trial, row.step, row.point, row.state, ...row.at].join(","));
        const file = (name || "selection").replace(/[^\w.-]+/g, "_");
        R.save(`${shared.run.replaceAll("/", "-")}-${file}.csv`, `trial,step,nearest_point,machine_state,${axes.join(",")}\n${lines.join("\n")}\n`, "text/csv");
    };
    R.view({ draw: () => R.pick([]), pickedChanged: show });
})();
