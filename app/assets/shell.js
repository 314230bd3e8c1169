// The shell: which page the address shows, light and dark, the keyboard, and what the table of runs needs.
(function () {
    "use strict";
    const R = window.rnnscope;
    const clientside = (window.dash_clientside = window.dash_clientside || {});
    const none = () => window.dash_clientside.no_update;
    const base = () => document.querySelector("a.home")?.getAttribute("href") || "/";

    // As a link of Dash does: its Location takes props for the address that it set itself, and views write the address too.
    function go(address) {
        window.history.pushState({}, "", address);
        window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
        window.scrollTo(0, 0);
    }

    clientside.shell = {
        page(pathname) {
            const said = document.getElementById("view-link");
            if (said) window.dash_clientside.set_props("view-note", { children: null });
            const start = base(), path = pathname || "/", rest = path.startsWith(start) ? path.slice(start.length) : "";
            const run = rest.startsWith("run/") ? decodeURIComponent(rest.slice(4)) : null;
            const page = run !== null ? "run" : rest === "train" ? "train" : "runs";
            document.title = run !== null ? `${run} · rnnscope` : page === "train" ? "Train · rnnscope" : "Runs · rnnscope";
            document.getElementById("nav-runs")?.classList.toggle("on", page === "runs");
            document.getElementById("nav-train")?.classList.toggle("on", page === "train");
            if (page !== "run") R.stop();
            const shown = (name) => (page === name ? "page" : "hidden");
            return [shown("runs"), shown("run"), shown("train"), run];
        },
        scheme(clicks, stamp) {
            const kept = window.localStorage.getItem("rnnscope-scheme");
            const system = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
            let scheme = kept || system;
            const clicked = window.dash_clientside.callback_context.triggered.some((t) => t.prop_id.startsWith("scheme-button"));
            if (clicked && clicks) {
                scheme = scheme === "dark" ? "light" : "dark";
                window.localStorage.setItem("rnnscope-scheme", scheme);
            }
            document.documentElement.dataset.scheme = scheme;
            return [scheme, none()];
        },
    };

    clientside.runs = {
        // Rows were changed, or others are wanted: what is in view is asked for again, and stays in view.
        again(changes, search) {
            const triggered = window.dash_clientside.callback_context.triggered;
            const asked = triggered.some((t) => t.prop_id.startsWith("runs-search"));
            // Not at once: a table that has not yet asked for its first rows would never do so.
            if (triggered.length) setTimeout(() => {
                if (!document.querySelector("#runs .ag-root")) return;
                const api = dash_ag_grid.getApi("runs");
                if (asked) api.purgeInfiniteCache();
                else api.refreshInfiniteCache();
            }, 100);
            return none();
        },
    };

    clientside.dissect = {
        open(shown, start, cards) {
            R.cards.make(cards);
            if (!shown || !shown.run) { R.forget(); return none(); }
            R.cards.show(shown);
            if (R.shared.run === shown.run && R.shared.stamp === shown.scene) return none();
            R.shared.stamp = shown.scene;
            const query = new URLSearchParams(window.location.search), asked = query.get("step"), { steps } = shown;
            const step = asked !== null && steps.includes(Number(asked)) ? Number(asked) : null;
            R.shared.steps = steps;
            if (asked !== null && step === null) {
                window.dash_clientside.set_props("view-note", { children: `there is no checkpoint at step ${asked}: this is the last` });
                query.delete("step");
                window.history.replaceState(window.history.state, "", `${window.location.pathname}${query.size ? `?${query}` : ""}${window.location.hash}`);
            }
            R.open(shown.run, step, start);
            return none();
        },
        step(index, shown, start) {
            if (!shown || !shown.run || index === null || index === undefined) return none();
            const last = shown.steps.length - 1, step = index >= last ? null : shown.steps[index];
            const address = new URL(window.location);
            if (step === null) address.searchParams.delete("step"); else address.searchParams.set("step", step);
            address.searchParams.delete("view");
            // While one is being read, what was wanted last counts.
            const before = R.shared.run === shown.run ? R.shared.step : R.shared.wantedStep;
            const moved = R.shared.wanted !== undefined && before !== step;
            if (moved) {
                window.history.replaceState(window.history.state, "", address);
                R.open(shown.run, step, start);
            }
            return `training step ${shown.steps[Math.min(index, last)] ?? "–"}`;
        },
        look(dims, colour, trials, layers, plane, flow) {
            const { look } = R.shared, change = {};
            for (const [name, value] of Object.entries({ dims, trials, plane, flow })) if (value && value !== look[name]) change[name] = value;
            if (R.shared.scene && colour && colour !== R.colour()) change.colour = colour;
            if (layers && layers.join(".") !== look.layers.join(".")) change.layers = layers;
            if (Object.keys(change).length) R.setLook(change);
            return none();
        },
        // What a control was told is no wish of the user's, and comes late while a trial plays.
        time(value) { if (value !== R.shared.told.time) R.select({ time: value }); return none(); },
        trial(value) { if (Number.isFinite(value) && value !== R.shared.told.trial) R.select({ trial: value }); return none(); },
        play(clicks) { if (clicks) R.play(); return none(); },
        view(clicks) { return clicks && R.shared.scene ? { ...R.said(), at: Date.now() } : none(); },
        options(given) { if (given) R.cards.draw(given); return none(); },
        order(value) { R.orderUnits(value); return none(); },
        savePicked(clicks, name) { if (clicks) R.savePicked(name); return none(); },
    };

    // --- the keyboard ---------------------------------------------------------------------------------------------

    function onRun() { return !document.getElementById("page-run")?.classList.contains("hidden") && R.shared.scene; }

    function stepTraining(way) {
        const { scene } = R.shared, at = scene.steps.indexOf(scene.step) + way;
        if (at >= 0 && at < scene.steps.length) window.dash_clientside.set_props("step-slider", { value: at });
    }

    // The list may have to be made first.
    function search(left) {
        const found = document.getElementById("runs-search");
        if (found && found.offsetParent) found.focus();
        else if (left) setTimeout(() => search(left - 1), 50);
    }

    document.addEventListener("keydown", (event) => {
        const writing = event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable], [role=slider], [role=combobox]");
        if (event.key === "Escape") {
            const help = document.getElementById("help");
            if (help.open) { help.close(); return; }
            if (document.querySelector(".card.large")) return; // cards.js makes it small again
        }
        if (event.key === "Escape") { document.activeElement.blur(); if (onRun()) R.select({ point: null, unit: null, state: null }); return; }
        if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
        const { selected } = R.shared, way = event.shiftKey ? 10 : 1;
        if (event.key === "?") { const help = document.getElementById("help"); if (help.open) help.close(); else help.showModal(); }
        else if (event.key === "/") {
            if (document.getElementById("page-runs").classList.contains("hidden")) go(base());
            search(100);
        } else if (!onRun()) return;
        else if (event.key === " ") { if (event.target.closest("button, summary, a")) return; R.play(); }
        else if (event.key === "ArrowRight") R.select({ time: selected.time + way });
        else if (event.key === "ArrowLeft") R.select({ time: selected.time - way });
        else if (event.key === "ArrowDown") R.select({ trial: selected.trial + 1 });
        else if (event.key === "ArrowUp") R.select({ trial: selected.trial - 1 });
        else if (event.key === "]") stepTraining(1);
        else if (event.key === "[") stepTraining(-1);
        else return;
        event.preventDefault();
    });

    document.addEventListener("click", (event) => {
        const help = document.getElementById("help");
        const one = event.target.closest(".run-one");
        if (one) window.dash_clientside.set_props("job-ask", { data: { analysis: one.dataset.analysis, at: Date.now() } });
        if (event.target.id === "help-button") help.showModal();
        else if (event.target === help) help.close();
    });

    // --- cells of the table ---------------------------------------------------------------------------------------

    const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
    const address = (name) => `${base()}run/${name.split("/").map(encodeURIComponent).join("/")}`;
    cells.RunLink = (props) => {
        if (!props.data) return null;
        const href = address(props.value);
        const follow = (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
            event.preventDefault();
            go(href);
        };
        return React.createElement("a", { href, onClick: follow, className: "run-name" }, props.value);
    };
    // The course of a training in a line, which moves while it trains.
    cells.LossCurve = (props) => {
        if (!props.value) return null;
        const losses = JSON.parse(props.value), wide = 52, high = 20;
        const log = losses.every((v) => v === null || v > 0), at = losses.map((v) => (v === null ? null : log ? Math.log(v) : v));
        const seen = at.filter((v) => v !== null), low = Math.min(...seen), span = Math.max(...seen) - low || 1;
        const place = (v, k) => `${((k * wide) / Math.max(losses.length - 1, 1)).toFixed(1)},${(2 + ((high - 4) * (low + span - v)) / span).toFixed(1)}`;
        const points = at.map((v, k) => (v === null ? null : place(v, k))).filter(Boolean).join(" ");
        const last = props.data.loss === null ? "" : Number(props.data.loss).toPrecision(2);
        return React.createElement("span", { className: `run-curve status-${props.data.status}`, role: "img", "aria-label": `loss ${last}` },
            React.createElement("svg", { width: wide, height: high, viewBox: `0 0 ${wide} ${high}` }, React.createElement("polyline", { points })), last);
    };
    cells.RunStatus = (props) => (props.value ? React.createElement("span", { className: `status status-${props.value}` }, props.value) : null);
})();
