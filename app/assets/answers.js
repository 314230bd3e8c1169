// When the explorer does not answer, or was started anew since this page was opened, the page says so.
(() => {
    const ask = window.fetch;
    const say = (text, reload) => {
        let note = document.getElementById("no-answer");
        if (!text) {
            if (note) note.remove();
            return;
        }
        if (!note) {
            note = document.createElement("div");
            note.id = "no-answer";
            note.setAttribute("role", "alert");
            document.body.appendChild(note);
        }
        note.textContent = text;
        if (reload) {
            const button = document.createElement("button");
            button.textContent = "Reload";
            button.onclick = () => window.location.reload();
            note.appendChild(button);
        }
    };
    let stale = false;
    window.fetch = async (...asked) => {
        const address = String((asked[0] && asked[0].url) || asked[0]);
        const counts = address.includes("_dash-update-component");
        try {
            const answer = await ask(...asked);
            if (counts && answer.status === 403) {
                stale = true;
                say("The explorer was started anew since this page was opened.", true);
            } else if (counts && !stale) {
                say("");
            }
            return answer;
        } catch (error) {
            if (counts && error.name !== "AbortError") {
                say("The explorer does not answer. Trainings and analyses that were started go on without it.");
            }
            throw error;
        }
    };
})();
