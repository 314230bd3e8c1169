// What all linked views of a run share: its numbers, what is selected, and the address that says so.
//
// The page loads it before all else, so that the numbers are on their way while Dash's own scripts are read.
//
// A view registers with rnnscope.view({draw, mark}). `draw(scene)` is called for new numbers, `mark(selected, changed)`
// for another selection, and redraws only what depends on it; so a selection needs no answer from the server.
(function () {
    "use strict";

    const KINDS = { f4: Float32Array, i2: Int16Array };
    const ROLES = {
        stable: { colour: "#0072B2", symbol: "circle", flat: "circle" },
        saddle: { colour: "#D55E00", symbol: "diamond", flat: "diamond" },
        "saddle of 2": { colour: "#E69F00", symbol: "square-open", flat: "square-open" },
        "saddle of more": { colour: "#7A3E00", symbol: "cross", flat: "cross" },
        repelling: { colour: "#CC79A7", symbol: "x", flat: "x" },
        marginal: { colour: "#009E73", symbol: "square", flat: "square" },
        "at a kink": { colour: "#555555", symbol: "diamond-open", flat: "diamond-open" },
    };
    const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"];
    const INK = "#1B2733";
    const SCALE = "Cividis";
    const NOTHING = { trial: 0, time: 0, point: null, unit: null, state: null };
    const LOOK = { dims: "3", colour: "auto", trials: "all", plane: "12", flow: "off", layers: ["points", "lines"] };
    const CHOICES = ["dims", "colour", "trials", "plane", "flow"];
    // A message that takes this long to come gets a spinner.
    const PATIENCE = 300;

    // Where the explorer is, as a proxy may show it: this file lies in a folder of its own there.
    const HERE = new URL("..", document.currentScript.src).pathname;
    // From so many states on, a browser without a graphics card shows the plane first: in space it takes seconds.
    const MANY = 20000;

    const shared = {
        base: HERE, run: null, step: null, scene: null, selected: { ...NOTHING }, look: { ...LOOK }, picked: [],
        views: [], options: {}, told: {}, unitData: null, trialData: null, playing: null,
    };

    function unpack(array) {
        if (!array) return null;
        const text = atob(array.data), bytes = new Uint8Array(text.length);
        for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
        const values = new KINDS[array.kind](bytes.buffer);
        values.shape = array.shape;
        return values;
    }

    function view(parts) { shared.views.push(parts); }

    // One view that fails must not silence the others; the console says which.
    function each(name, ...given) {
        for (const one of shared.views) if (one[name]) safely(() => one[name](...given));
    }

    function safely(then) { try { then(); } catch (error) { console.error(error); } }

    async function get(path) {
        const answer = await fetch(shared.base + path, { credentials: "same-origin" });
        const body = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
        if (!answer.ok) throw new Error(body.error || `the server answered ${answer.status}`);
        return body;
    }

    const query = (step) => (step === null || step === undefined ? "" : `?step=${step}`);

    async function open(run, step, base) {
        shared.base = base;
        const wanted = `${run} ${step}`;
        shared.wanted = wanted;
        shared.unitData = shared.trialData = null;
        shared.wantedStep = step;
        // What is shown is of another checkpoint until this one is read.
        document.getElementById("views")?.classList.toggle("stale", run === shared.run);
        if (run !== shared.run) {
            forget();
            stop();
            shared.selected = { ...NOTHING };
            shared.look = { ...LOOK, layers: [...LOOK.layers] };
            shared.picked = [];
            shared.options = {};
            shared.viewed = shared.dimsSaid = false;
            read(new URLSearchParams(window.location.search));
        }
        const wait = setTimeout(() => message("Reading the run", true), PATIENCE);
        try {
            const found = (await foreseen(run, step)) || (await get(`_scene/${encodeURIComponent(run)}${query(step)}`));
            if (shared.wanted !== wanted) return;
            shared.run = run;
            shared.step = step;
            shared.scene = opened(found);
            document.getElementById("views").classList.remove("stale");
            message(null);
            const view = new URLSearchParams(window.location.search).get("view");
            if (view !== null && !shared.viewed && shared.scene.views[view]) {
                shared.viewed = true;
                const kept = shared.scene.views[view], at = kept.step === undefined ? null : Number(kept.step);
                read(new URLSearchParams(kept));
                if (at !== step && shared.scene.steps.includes(at)) {
                    window.dash_clientside.set_props("step-slider", { value: shared.scene.steps.indexOf(at) });
                }
            }
            if (!shared.dimsSaid && shared.scene.trials * shared.scene.time > MANY && withoutCard()) shared.look.dims = "2";
            else if (view !== null && !shared.viewed) {
                shared.viewed = true;
                window.dash_clientside.set_props("view-note", { children: `there is no saved view named ${view}` });
            }
            clamp();
            drawAll();
            if (shared.selected.unit !== null) readUnit();
            tellControls();
        } catch (error) {
            if (shared.wanted === wanted) { forget(); message(error.message); window.rnnscope.cards.release(); }
        } finally {
            clearTimeout(wait);
        }
    }

    // The states first; what is smaller, and the cards, when the browser has shown them.
    function drawAll() {
        const { scene, wanted } = shared;
        const some = (first) => (one) => Boolean(one.first) === first && one.draw;
        const draw = (views) => { for (const one of views) safely(() => one.draw(scene)); };
        draw(shared.views.filter(some(true)));
        describe(scene);
        whenPlotly(() => afterFrame(() => {
            if (shared.wanted !== wanted || shared.scene !== scene) return;
            draw(shared.views.filter(some(false)));
            readTrial();
            window.rnnscope.cards.release();
        }));
    }

    // For who cannot see them; and where the tiles and cards are of another checkpoint than the views.
    function describe(scene) {
        const { points, steps } = scene, at = `of ${shared.run} at training step ${scene.step}`, n = points.number.length;
        const kinds = Object.keys(ROLES).map((role) => [points.role.filter((each) => each === role).length, role]).filter(([count]) => count).map((pair) => pair.join(" "));
        const said = {
            space: `State space ${at}: ${scene.trials} trials on principal axes, ${n} fixed points${n ? ` (${kinds.join(", ")})` : ""}.`,
            machine: scene.machine ? `Automaton ${at}: ${scene.machine.title.replaceAll("<br>", " ")}.` : "No automaton.",
            trial: `Inputs, targets and outputs of one trial ${at}.`, units: `Activity of all ${scene.units} units in one trial ${at}.`,
            eigenvalues: `Eigenvalues of ${points.source} ${at}.`, unit: `One unit ${at}: activity by state, couplings.`,
            loss: `Loss over training, with ${steps.length} checkpoints.`, exponents: `Lyapunov exponents ${at}.`,
        };
        for (const [name, text] of Object.entries(said)) {
            const place = document.getElementById(name === "machine" ? "machine-frame" : `view-${name}`);
            place?.setAttribute("role", "img");
            place?.setAttribute("aria-label", text);
        }
        const note = document.getElementById("checkpoint-note"), last = steps.at(-1);
        note.classList.toggle("hidden", scene.step === last);
        note.textContent = `The views show the network at training step ${scene.step}, on axes of step ${last} where these are kept. Tiles and figures below are of the results that are kept, most of them of step ${last}.`;
    }

    // Once the browser has shown what was drawn; a page in the background shows nothing.
    function afterFrame(then) {
        if (document.hidden) setTimeout(then, 30);
        else requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(then, 0)));
    }

    // The numbers of the run that the address names are asked for before Dash is there to say which it is.
    let early = null;
    function foresee() {
        const rest = window.location.pathname.startsWith(HERE) ? window.location.pathname.slice(HERE.length) : "";
        if (!rest.startsWith("run/")) return;
        whenPlotly(() => {});
        const run = decodeURIComponent(rest.slice(4)), asked = new URLSearchParams(window.location.search).get("step");
        const step = asked === null ? null : Number(asked), path = `_scene/${encodeURIComponent(run)}${query(step)}`;
        early = { run, step, answer: get(`${path}${step === null ? "?" : "&"}early=1`).catch(() => null) };
    }

    async function foreseen(run, step) {
        const asked = early;
        early = null;
        if (!asked || asked.run !== run || asked.step !== step) return null;
        const found = await asked.answer;
        return found && !found.error && found.stamp === shared.stamp ? found : null;
    }

    let card = null;
    function withoutCard() {
        if (card !== null) return !card;
        const gl = document.createElement("canvas").getContext("webgl"), about = gl && gl.getExtension("WEBGL_debug_renderer_info");
        card = Boolean(about) && !/swiftshader|llvmpipe|software/i.test(gl.getParameter(about.UNMASKED_RENDERER_WEBGL));
        gl?.getExtension("WEBGL_lose_context")?.loseContext();
        return !card;
    }

    // What is shown of another run must not be taken for this one's.
    function forget() {
        shared.run = shared.scene = shared.unitData = shared.trialData = null;
        document.getElementById("views")?.classList.add("hidden");
    }

    function opened(found) {
        for (const name of ["inputs", "outputs", "targets", "xyz", "nearest", "machineState", "symbol"]) {
            found[name] = unpack(found[name]);
        }
        const points = found.points;
        for (const name of ["xyz", "real", "imaginary", "directions"]) points[name] = unpack(points[name]);
        if (found.connections) found.connections.paths = unpack(found.connections.paths);
        if (found.ablation) {
            found.ablation.change = unpack(found.ablation.change);
            found.ablation.error = unpack(found.ablation.error);
        }
        [found.trials, found.time, found.axes] = found.xyz.shape;
        return found;
    }

    function message(text, waiting) {
        const place = document.getElementById("views-message");
        if (!place) return;
        place.textContent = text || "";
        if (text && !waiting && !shared.scene) otherSteps(place);
        place.className = text ? (waiting ? "views-message waiting" : "views-message") : "hidden";
        document.getElementById("views").classList.toggle("hidden", Boolean(text) && !(waiting && shared.scene));
    }

    // Where one checkpoint cannot be read, others may be.
    function otherSteps(place) {
        for (const step of shared.steps || []) {
            const button = Object.assign(document.createElement("button"), { textContent: `step ${step}`, className: "step-button" });
            button.onclick = () => window.dash_clientside.set_props("step-slider", { value: shared.steps.indexOf(step) });
            place.append(button);
        }
    }

    function clamp() {
        const { scene, selected } = shared;
        selected.trial = Math.max(0, Math.min(selected.trial, scene.trials - 1));
        selected.time = Math.max(0, Math.min(selected.time, scene.length[selected.trial] - 1));
        if (selected.unit !== null && !(selected.unit < scene.units)) selected.unit = null;
        if (selected.point !== null && !scene.points.number.includes(selected.point)) selected.point = null;
        if (selected.state !== null && !scene.machine) selected.state = null;
    }

    function select(change) {
        if (!shared.scene) return;
        const before = { ...shared.selected };
        Object.assign(shared.selected, change);
        clamp();
        const changed = new Set(Object.keys(NOTHING).filter((name) => before[name] !== shared.selected[name]));
        if (!changed.size) return;
        each("mark", shared.selected, changed);
        if (changed.has("unit")) readUnit();
        if (changed.has("trial")) readTrial();
        tellControls();
        writeAddress();
    }

    async function readUnit() {
        const { run, step, selected } = shared;
        if (run === null) return;
        if (selected.unit === null) { shared.unitData = null; each("unit", null); return; }
        waits("unit", true);
        const found = await get(`_unit/${encodeURIComponent(run)}/${selected.unit}${query(step)}`).catch(report);
        if (!found || found.unit !== shared.selected.unit || run !== shared.run || step !== shared.step) return;
        for (const name of ["activity", "from", "to", "input"]) found[name] = unpack(found[name]);
        shared.unitData = found;
        waits("unit", false);
        each("unit", found);
    }

    async function readTrial() {
        const { run, step, selected } = shared;
        if (run === null) return;
        waits("units", true);
        const found = await get(`_trial/${encodeURIComponent(run)}/${selected.trial}${query(step)}`).catch(report);
        if (!found || found.trial !== shared.selected.trial || run !== shared.run || step !== shared.step) return;
        found.states = unpack(found.states);
        found.inputs = unpack(found.inputs);
        shared.trialData = found;
        waits("units", false);
        each("trial", found);
    }

    // A view of what was selected before steps back until what is selected now is there, and stays so if it never comes.
    function waits(name, on) { document.getElementById(`view-${name}`)?.classList.toggle("stale", on); }

    // What one view could not get is said beside the views, which stay.
    function report(error) {
        const place = document.getElementById("space-note");
        if (place) place.textContent = error.message;
        return null;
    }

    function setLook(change) {
        Object.assign(shared.look, change);
        if (!shared.scene) return;
        each("look", shared.look);
        writeAddress();
    }

    function pick(rows) {
        shared.picked = rows;
        each("pickedChanged", rows);
    }

    // --- the address: the whole view, short -----------------------------------------------------------------------

    function read(given) {
        for (const name of Object.keys(NOTHING)) {
            const value = Number.parseInt(given.get(name), 10);
            if (Number.isFinite(value) && value >= 0) shared.selected[name] = value;
        }
        for (const name of CHOICES) if (given.get(name)) shared.look[name] = given.get(name);
        if (given.get("dims")) shared.dimsSaid = true;
        if (given.has("layers")) shared.look.layers = given.get("layers").split(".").filter(Boolean);
        // Options of figures: card.option.
        for (const [key, text] of given) {
            const [card, option, more] = key.split(".");
            if (option && more === undefined) (shared.options[card] = shared.options[card] || {})[option] = text;
        }
    }

    // What differs from a view of which nothing was said.
    function said() {
        const { selected, look } = shared, found = {};
        if (shared.wantedStep !== null && shared.wantedStep !== undefined) found.step = String(shared.wantedStep);
        for (const name of Object.keys(NOTHING)) if (selected[name] !== NOTHING[name]) found[name] = String(selected[name]);
        for (const name of CHOICES) if (look[name] !== LOOK[name]) found[name] = look[name];
        if (look.layers.join(".") !== LOOK.layers.join(".")) found.layers = look.layers.join(".");
        for (const [card, texts] of Object.entries(shared.options)) {
            for (const [option, text] of Object.entries(texts)) found[`${card}.${option}`] = text;
        }
        return found;
    }

    let writing = null;
    function writeAddress() {
        clearTimeout(writing);
        writing = setTimeout(() => {
            const { pathname } = window.location, at = `${shared.base}run/`;
            if (!shared.scene || !pathname.startsWith(at) || decodeURIComponent(pathname.slice(at.length)) !== shared.run) return;
            const search = new URLSearchParams(said()).toString();
            // Replaced, not added: Back leads to the page before, not through every step of a cursor.
            const address = window.location.pathname + (search ? `?${search}` : "") + window.location.hash;
            window.history.replaceState(window.history.state, "", address);
        }, 150);
    }

    // The options of a card's figure: those that are not as they come.
    function setOptions(card, texts) {
        if (Object.keys(texts).length) shared.options[card] = texts; else delete shared.options[card];
        writeAddress();
    }

    // Dash's own controls follow what was selected elsewhere.
    function tellControls() {
        const { scene, selected } = shared, set = window.dash_clientside && window.dash_clientside.set_props;
        if (!set || !scene) return;
        shared.told = { time: selected.time, trial: selected.trial };
        set("time-slider", { max: Math.max(scene.length[selected.trial] - 1, 1), value: selected.time });
        set("trial-number", { value: selected.trial, max: scene.trials - 1 });
        const where = document.getElementById("time-note");
        if (where) where.textContent = `step ${selected.time} of ${scene.length[selected.trial] - 1}`;
    }

    function tellLook() {
        const set = window.dash_clientside.set_props, { look, scene } = shared;
        set("look-dims", { value: look.dims });
        set("look-trials", { value: look.trials });
        set("look-flow", { value: look.flow });
        const pairs = [[1, 2], [1, 3], [2, 3]].filter(([, b]) => b <= Math.max(scene.axes, 2));
        if (!pairs.some((pair) => pair.join("") === look.plane)) look.plane = "12";
        set("look-plane", { data: pairs.map(([a, b]) => ({ value: `${a}${b}`, label: `PC${a}, PC${b}` })), value: look.plane });
        set("look-layers", { value: look.layers });
        const options = colours(scene);
        if (!options.some((option) => option.value === look.colour)) look.colour = "auto";
        set("look-colour", { data: options, value: colour() });
    }

    // Where nobody chose: the machine's states, as long as there is a colour for each, and else time.
    function colour() {
        const { look, scene } = shared;
        if (look.colour !== "auto") return look.colour;
        return scene.machine && scene.machine.nodes.length <= PALETTE.length ? "state" : "time";
    }

    function colours(scene) {
        const found = [{ value: "time", label: "time" }, { value: "trial", label: "trial" }];
        if (scene.points.number.length) found.push({ value: "point", label: "nearest fixed point" });
        if (scene.machineState) found.push({ value: "state", label: "machine state" });
        for (const name of Object.keys(scene.labels)) found.push({ value: `label:${name}`, label: name });
        const channels = (values, name, most) => {
            for (let k = 0; values && k < Math.min(values.shape[2], most); k++) {
                found.push({ value: `${name}:${k}`, label: values.shape[2] === 1 ? name : `${name} ${k}` });
            }
        };
        channels(scene.inputs, "input", 8);
        channels(scene.targets, "target", 8);
        channels(scene.outputs, "output", 8);
        found.push({ value: "unit", label: "activity of the selected unit" });
        return found;
    }

    view({ first: true, draw: () => tellLook() });

    // --- playing --------------------------------------------------------------------------------------------------

    function play() {
        if (shared.playing) { stop(); return; }
        if (!shared.scene) return;
        const last = shared.scene.length[shared.selected.trial] - 1;
        if (shared.selected.time >= last) select({ time: 0 });
        const tick = () => {
            const end = shared.scene.length[shared.selected.trial] - 1;
            if (shared.selected.time >= end) { stop(); return; }
            select({ time: shared.selected.time + 1 });
        };
        shared.playing = setInterval(tick, 120);
        playButton(true);
    }

    function stop() {
        clearInterval(shared.playing);
        shared.playing = null;
        playButton(false);
    }

    function playButton(on) {
        const button = document.getElementById("play");
        if (!button) return;
        button.textContent = on ? "❚❚" : "▶";
        button.setAttribute("aria-label", on ? "pause" : "play the trial");
    }

    // --- drawing --------------------------------------------------------------------------------------------------

    let plotly = null;
    function whenPlotly(then) {
        if (window.Plotly) { then(); return; }
        plotly = plotly || new Promise((done) => {
            const script = document.createElement("script");
            script.src = `${HERE}_dash-component-suites/plotly/package_data/plotly.min.js`;
            script.onload = done;
            document.head.append(script);
        });
        plotly.then(then);
    }

    const FONT = { family: "Inter, Helvetica, Arial, 'Liberation Sans', sans-serif", size: 12, color: INK };
    const AXIS = { showline: true, linecolor: "#9AA5B1", ticks: "outside", ticklen: 4, tickcolor: "#9AA5B1",
        gridcolor: "#EDF0F3", zeroline: false, automargin: false };
    const CONFIG = { displaylogo: false, responsive: true, displayModeBar: "hover", showSendToCloud: false };

    function config(name) {
        return { ...CONFIG, toImageButtonOptions: { format: "svg", filename: `${shared.run}-${name}`, width: 900, height: 620 } };
    }

    function layout(more) {
        return { font: FONT, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
            margin: { l: 52, r: 10, t: 8, b: 38 }, hoverlabel: { align: "left" }, modebar: { bgcolor: "rgba(255,255,255,0.8)", color: "#7A8794", activecolor: INK }, ...more };
    }

    function save(name, text, kind) {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([text], { type: kind }));
        link.download = name;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }

    window.rnnscope = {
        shared, said, forget, view, each, get, query, report, open, select, setLook, setOptions, pick, play, stop, colour, unpack, whenPlotly, config, layout, save, message,
        ROLES, PALETTE, INK, SCALE, AXIS,
    };
    foresee();
})();
