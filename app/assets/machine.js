// The automaton: its states light up as the trial walks through it, a click lights up the network's states in each.
(function () {
    "use strict";
    const R = window.rnnscope, shared = R.shared;
    const SPREAD = 90; // pixels between neighbours, before it is fitted to its frame
    const MOST_LABELS = 24; // arrows; of more, only the one that is walked shows what it reads
    let drawn = null;
    const network = () => {
        const place = document.getElementById("view-machine");
        const inner = place && place._cyreg ? place : place && place.querySelector(".__________cytoscape_container")?.parentElement;
        return inner && inner._cyreg ? inner._cyreg.cy : null;
    };

    function whenThere(then, left) {
        const found = network();
        if (found) then(found);
        else if (left > 0) setTimeout(() => whenThere(then, left - 1), 50);
    }

    function draw(scene) {
        const machine = scene.machine, frame = document.getElementById("machine-frame");
        frame.classList.toggle("hidden", !machine);
        document.getElementById("machine-none").classList.toggle("hidden", Boolean(machine));
        const note = document.getElementById("machine-note");
        note.textContent = machine ? "state: what it shows" : "";
        note.title = machine ? machine.title.replaceAll("<br>", " ") : "";
        if (!machine) { drawn = null; return; }
        whenThere((cy) => {
            cy.elements().remove();
            cy.add(machine.nodes.map((node) => ({
                group: "nodes", data: { id: `s${node.state}`, label: node.text, state: node.state, colour: machine.nodes.length > R.PALETTE.length ? "#D5DEE6" : R.PALETTE[node.state % R.PALETTE.length], ink: machine.nodes.length > R.PALETTE.length || [4, 5, 7].includes(node.state % 8) ? "#1B2733" : "white", about: node.hover, size: Math.max(34, 5.6 * Math.max(...node.text.split("\n").map((line) => line.length)) + 10) },
                position: { x: node.x * SPREAD, y: -node.y * SPREAD }, classes: node.state === machine.initial ? "initial" : "",
            })));
            cy.add(machine.edges.map((edge, k) => ({
                group: "edges", classes: machine.edges.length > MOST_LABELS ? "quiet" : "", data: { id: `e${k}`, source: `s${edge.source}`, target: `s${edge.target}`, label: edge.label, width: edge.width },
            })));
            if (!cy.rnnscopeListens) {
                cy.rnnscopeListens = true;
                cy.on("tap", "node", (event) => {
                    const state = event.target.data("state");
                    R.select({ state: state === shared.selected.state ? null : state });
                });
                cy.on("mouseover", "edge", (event) => event.target.addClass("pointed"));
                cy.on("mouseout", "edge", (event) => event.target.removeClass("pointed"));
                cy.on("tap", (event) => { if (event.target === cy) R.select({ state: null }); });
            }
            cy.resize();
            cy.fit(undefined, 24);
            drawn = cy;
            mark();
        }, 200);
    }

    function now() {
        const { scene, selected } = shared, at = selected.trial * scene.time + selected.time;
        return { here: scene.machineState[at], before: selected.time ? scene.machineState[at - 1] : scene.machine.initial };
    }

    function mark() {
        const { scene, selected } = shared;
        if (!scene || !scene.machine || !drawn) { word(); return; }
        const { here, before } = now(), cy = drawn;
        const near = new Set();
        const index = selected.point === null ? -1 : scene.points.number.indexOf(selected.point);
        if (index >= 0) for (let row = 0; row < scene.nearest.length; row++) if (scene.nearest[row] === index) near.add(scene.machineState[row]);
        cy.batch(() => {
            cy.elements().removeClass("here chosen near walked");
            if (here >= 0) cy.getElementById(`s${here}`).addClass("here");
            if (here >= 0 && before !== null && before >= 0) cy.edges(`[source = "s${before}"][target = "s${here}"]`).addClass("walked");
            if (selected.state !== null) cy.getElementById(`s${selected.state}`).addClass("chosen");
            for (const state of near) cy.getElementById(`s${state}`).addClass("near");
        });
        word();
    }

    // What the machine has read, the symbol at the cursor in bold; longer words show what is around it.
    function word() {
        const { scene, selected } = shared, place = document.getElementById("machine-word");
        place.replaceChildren();
        if (!scene || !scene.machine || !scene.machine.transitions) return;
        let now = null;
        const from = Math.max(0, selected.time - 14), to = Math.min(scene.length[selected.trial], from + 30);
        for (let t = from; t < to; t++) {
            const symbol = scene.symbol[selected.trial * scene.time + t], letter = document.createElement("span");
            letter.textContent = symbol < 0 ? "·" : scene.machine.symbols[symbol] ?? symbol;
            letter.className = t === selected.time ? "letter now" : t < selected.time ? "letter read" : "letter";
            letter.title = `step ${t}`;
            letter.onclick = () => R.select({ time: t });
            place.append(letter);
            if (t === selected.time) now = letter;
        }
        if (now) place.scrollLeft = Math.max(0, now.offsetLeft - place.offsetLeft - place.clientWidth / 3);
    }

    R.view({ draw, mark });
})();
