// A card for each figure of each result. A figure is asked for when its card comes into view, and drawn anew when the
// result was written anew.
(function () {
    "use strict";
    const R = window.rnnscope;
    const KINDS = [["png", "PNG"], ["svg", "SVG"], ["pdf", "PDF"], ["csv", "data as CSV"], ["py", "Python that makes it"]];
    const WIDTH = 900, HEIGHT = 620, PATIENCE = 300;
    const CONFIG = { displaylogo: false, responsive: true, displayModeBar: "hover", showSendToCloud: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "toImage"] };
    const inView = new Set();
    let now = { run: null, stamps: {}, present: new Set() }, held = true;

    function element(name, attributes, ...inside) {
        const made = document.createElement(name);
        for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
        made.append(...inside);
        return made;
    }

    function frame(card) {
        const menu = element("div", { class: "menu" }, ...KINDS.map(([kind, title]) => element("button", { "data-export": kind }, title)));
        const keep = element("details", { class: "export" }, element("summary", { title: "take it away" }, "⤓"), menu);
        const enlarge = element("button", { class: "enlarge", title: "enlarge, or back", "data-enlarge": "" }, "⤢");
        const options = element("button", { class: "options", title: "how this figure is drawn", "aria-expanded": "false", "data-options": "" }, "options");
        const head = element("div", { class: "card-head" }, element("h2", {}, card.title), element("span", { class: "about" }), ...(card.options ? [options] : []), keep, enlarge);
        const body = element("div", { class: "card-body" }, element("div", { class: "frame invert", role: "img" }));
        const made = element("article", { id: `card-${card.name}`, class: `panel card${card.wide ? " wide" : ""}`, "data-card": card.name },
            head, element("div", { class: "options-place" }), body, element("p", { class: "summary", title: "click to read all of it" }), element("div", { class: "missing" }));
        seen.observe(made);
        return made;
    }

    function make(boards) {
        const place = document.getElementById("boards");
        if (!place || place.childElementCount) return;
        for (const board of boards) {
            const cards = element("div", { class: "board" }, ...board.cards.map(frame));
            place.append(element("section", {}, element("h2", { class: "board-head", id: board.anchor }, board.heading), cards));
        }
    }

    // Cards of which there is something, and the headings above them.
    function show(shown) {
        const other = now.run !== shown.run;
        if (other) held = true; // the linked views come first
        if (other) closeOptions();
        now = { run: shown.run, stamps: shown.stamps, present: new Set(shown.present) };
        for (const card of document.querySelectorAll("[data-card]")) {
            card.classList.toggle("hidden", !now.present.has(card.dataset.card));
            if (other) empty(card); // another run's figure must not be taken for this one's
        }
        for (const board of document.querySelectorAll(".board")) {
            const none = !board.querySelector("[data-card]:not(.hidden)"), heading = board.previousElementSibling;
            board.parentElement.classList.toggle("hidden", none);
            document.querySelector(`.index-entry[href="#${heading.id}"]`)?.classList.toggle("hidden", none);
        }
        look();
        // The browser looked for what the address points at before it was there.
        if (other && window.location.hash) document.getElementById(decodeURIComponent(window.location.hash.slice(1)))?.scrollIntoView();
    }

    function look() { if (!held) for (const card of inView) want(card); }

    function release() { held = false; look(); }

    function empty(card) {
        delete card.dataset.wanted;
        const graph = card.querySelector(".frame");
        graph.style.visibility = "hidden";
        if (graph.data) window.Plotly.purge(graph);
        for (const part of [".about", ".summary", ".missing"]) card.querySelector(part).replaceChildren();
    }

    // As they stand in addresses; "" where all are as they come.
    function query(name) {
        const texts = new URLSearchParams(R.shared.options[name] || {}).toString();
        return texts ? `?${texts}` : "";
    }

    async function want(card) {
        const { run } = now, name = card.dataset.card, options = query(name), wanted = `${run} ${now.stamps[name]} ${options}`;
        if (!run || !now.present.has(name) || card.dataset.wanted === wanted) return;
        card.dataset.wanted = wanted;
        card.querySelector(".options")?.classList.toggle("changed", Boolean(options));
        const wait = setTimeout(() => card.classList.add("loading"), PATIENCE);
        try {
            const answer = await fetch(`${R.shared.base}_card/${encodeURIComponent(run)}/${name}${options}`);
            const found = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
            if (card.dataset.wanted === wanted) R.whenPlotly(() => fill(card, found));
        } catch {
            delete card.dataset.wanted; // the server is gone; asked again when the card is looked at again
        } finally {
            clearTimeout(wait);
            card.classList.remove("loading");
        }
    }

    function fill(card, found) {
        const place = card.querySelector(".frame"), missing = card.querySelector(".missing"), text = found.missing || found.error;
        place.classList.toggle("hidden", Boolean(text));
        missing.replaceChildren();
        card.querySelector(".about").textContent = found.title || "";
        card.querySelector(".summary").textContent = found.summary || "";
        if (text) {
            missing.append(element("p", { class: found.missing && !found.bad ? "quiet" : "error" }, text));
            return;
        }
        place.style.visibility = "";
        place.setAttribute("aria-label", found.summary || found.title || card.querySelector("h2").textContent);
        // Plotly's WebGL in the plane compiles text, which the page does not allow; the same as SVG takes longer, and looks alike.
        const data = found.figure.data.map((trace) => (trace.type === "scattergl" ? { ...trace, type: "scatter" } : trace));
        window.Plotly.react(place, data, found.figure.layout, CONFIG);
    }

    const seen = new IntersectionObserver((entries) => {
        for (const entry of entries) {
            if (entry.isIntersecting) { inView.add(entry.target); if (!held) want(entry.target); } else inView.delete(entry.target);
        }
    }, { rootMargin: "300px" });

    // --- what can be done with a card -----------------------------------------------------------------------------

    async function takeAway(card, kind) {
        const name = card.dataset.card, file = `${now.run.replaceAll("/", "-")}-${name}`;
        const graph = card.querySelector(".frame");
        if ((kind === "png" || kind === "svg") && (!graph.data || graph.classList.contains("hidden"))) return;
        if (kind === "png" || kind === "svg") {
            const size = { width: WIDTH, height: HEIGHT, scale: kind === "png" ? 2 : 1 };
            await window.Plotly.downloadImage(graph, { format: kind, filename: file, ...size });
            return;
        }
        const answer = await fetch(`${R.shared.base}_figure/${encodeURIComponent(now.run)}/${name}.${kind}${query(name)}`);
        if (answer.ok) {
            R.save(`${file}.${kind}`, await answer.blob(), answer.headers.get("Content-Type"));
            return;
        }
        const found = await answer.json().catch(() => ({}));
        card.querySelector(".missing").replaceChildren(element("p", { class: "error" }, found.error || `the server answered ${answer.status}`));
    }

    function enlarge(card) {
        card.classList.toggle("large");
        const graph = card.querySelector(".frame");
        if (graph.data) window.Plotly.Plots.resize(graph);
    }

    // --- options ---------------------------------------------------------------------------------------------------

    // The page has one form, which Dash fills and reads, for all cards: it stands in the card whose options it holds, so
    // that the figure stays in view below it and the keyboard finds it next. Dash keeps its home, which never changes.
    const panel = () => document.getElementById("options-panel");
    const home = () => document.getElementById("options-home");

    function openOptions(card) {
        closeOptions();
        const fields = document.getElementById("options-fields"), name = card.dataset.card;
        card.querySelector(".options-place").append(panel());
        card.querySelector(".options").setAttribute("aria-expanded", "true");
        const filled = new MutationObserver(() => {
            const first = fields.querySelector("input");
            if (!first) return;
            filled.disconnect();
            first.focus({ preventScroll: true });
        });
        filled.observe(fields, { childList: true, subtree: true });
        ask(name, R.shared.options[name] || {});
    }

    function ask(card, texts) {
        window.dash_clientside.set_props("options-of", { data: { card, texts, at: Date.now() } });
    }

    function closeOptions() {
        const card = panel()?.closest("[data-card]");
        if (!card) return;
        const button = card.querySelector(".options"), inside = panel().contains(document.activeElement);
        home().append(panel());
        window.dash_clientside.set_props("options-of", { data: null });
        button.setAttribute("aria-expanded", "false");
        if (inside) button.focus();
    }

    // What the form comes to; it may come late, of a card whose form is closed.
    function draw({ run, card, texts }) {
        if (run !== now.run) return;
        R.setOptions(card, texts);
        const at = document.getElementById(`card-${card}`);
        if (at) want(at);
    }

    document.addEventListener("keydown", (event) => {
        const { target } = event;
        // A list that is open closes first.
        if (event.key !== "Escape" || !target.closest("#options-panel") || target.getAttribute("aria-expanded") === "true") return;
        event.stopImmediatePropagation();
        closeOptions();
    }, true);

    document.addEventListener("click", (event) => {
        const { target } = event, button = target.closest("[data-options]");
        if (button) {
            const card = button.closest("[data-card]");
            if (card.contains(panel())) closeOptions(); else openOptions(card);
        }
        if (target.closest("#options-close")) closeOptions();
        if (target.closest("#options-reset")) ask(target.closest("[data-card]").dataset.card, {});
    });

    document.addEventListener("click", (event) => {
        const { target } = event, wanted = target.closest("[data-export]");
        if (wanted) { takeAway(wanted.closest("[data-card]"), wanted.dataset.export); wanted.closest("details").open = false; }
        for (const menu of document.querySelectorAll("details.export[open]")) if (!menu.contains(target)) menu.open = false;
        target.closest(".summary")?.classList.toggle("all");
        if (target.closest("[data-enlarge]")) enlarge(target.closest("[data-card]"));
    });
    document.addEventListener("keydown", (event) => {
        const large = document.querySelector(".card.large");
        if (event.key === "Escape" && large) enlarge(large);
    });

    R.cards = { make, show, release, draw };
})();
