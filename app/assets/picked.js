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
            labels: Object.values(scene.labels).map((label) => label.levels[label.row[Math.floor(row / scene.time)]]),
            at: Array.from({ length: scene.axes }, (_, k) => scene.xyz[row * scene.axes + k]),
        }));
    }

    function counted(rows, of) {
        const found = new Map();
        for (const row of rows) found.set(of(row), (found.get(of(row)) || 0) + 1);
        found.delete("");
        return [...found].sort((a, b) => b[1] - a[1]).slice(0, 4).map(([key, n]) => `${key} (${n.toLocaleString("en")})`).join(", ") + (found.size > 4 ? ", …" : "");
    }

    function show(picked) {
        const place = document.getElementById("picked"), table = document.getElementById("picked-rows");
        place.classList.toggle("hidden", !picked.length);
        table.replaceChildren();
        const names = ["trial", "step", "nearest point", "machine state", ...Object.keys(shared.scene.labels), ...Array.from({ length: shared.scene.axes }, (_, k) => `PC${k + 1}`)];
        document.getElementById("picked-names").replaceChildren(...names.map((name) => Object.assign(document.createElement("th"), { textContent: name })));
        if (!picked.length) return;
        const rows = rowsOf(picked), trials = new Set(rows.map((row) => row.trial));
        const parts = [`${rows.length.toLocaleString("en")} states of ${trials.size} trials`];
        if (shared.scene.points.number.length) parts.push(`nearest points: ${counted(rows, (row) => row.point)}`);
        if (shared.scene.machineState) parts.push(`machine states: ${counted(rows, (row) => row.state)}`);
        Object.keys(shared.scene.labels).forEach((name, k) => parts.push(`${name}: ${counted(rows, (row) => row.labels[k])}`));
        document.getElementById("picked-note").textContent = parts.join("; ");
        for (const row of rows.slice(0, MOST)) {
            const line = document.createElement("tr");
            for (const value of [row.trial, row.step, row.point, row.state, ...row.labels, ...row.at.map((v) => v.toFixed(3))]) line.insertCell().textContent = value;
            line.onclick = () => R.select({ trial: row.trial, time: row.step });
            table.append(line);
        }
    }

    window.rnnscope.savePicked = (name) => {
        const rows = rowsOf(shared.picked), axes = Array.from({ length: shared.scene.axes }, (_, k) => `pc${k + 1}`);
        const safe = (text) => (/[",\n]/.test(text) ? `"${String(text).replaceAll('"', '""')}"` : text), labels = Object.keys(shared.scene.labels).map(safe);
        const lines = rows.map((row) => [row.trial, row.step, row.point, row.state, ...row.labels.map(safe), ...row.at].join(","));
        const file = (name || "selection").replace(/[^\w.-]+/g, "_");
        R.save(`${shared.run.replaceAll("/", "-")}-${file}.csv`, `trial,step,nearest_point,machine_state,${[...labels, ...axes].join(",")}\n${lines.join("\n")}\n`, "text/csv");
    };
    R.view({ draw: () => R.pick([]), pickedChanged: show });
})();
