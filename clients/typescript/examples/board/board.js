// A board of the open cases that follows the changes of the lab.
import { createLhcms } from "lhcms-client";

import { openCase, refreshCase } from "./case.js";
import { attempt, element, say } from "./page.js";

/** Each column, and the status that its button moves a case to. */
const COLUMNS = { pending: "in_progress", in_progress: "quality_check", quality_check: "completed", completed: "shipped" };

// The addresses of `make dev`, if the page's address has no others.
const parameters = new URLSearchParams(location.search);
const baseUrl = parameters.get("api") ?? "http://localhost:5001";
const umsUrl = parameters.get("ums") ?? "http://localhost:5000";

for (const status of Object.keys(COLUMNS)) {
  const section = document.createElement("section");
  section.id = status;
  section.append(Object.assign(document.createElement("h2"), { textContent: status.replaceAll("_", " ") }));
  element("columns").append(section);
}

element("log-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify(Object.fromEntries(new FormData(event.target)));
  const response = await fetch(`${umsUrl}/api/auth/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!response.ok) {
    say("The user or the password is wrong.");
    return;
  }
  const { access_token: token } = await response.json();
  event.target.hidden = true;
  element("create").hidden = false;
  follow(createLhcms({ baseUrl, token: () => token })).catch((error) => say(error.message));
});

/** Shows the open cases, and from then on each change. */
async function follow(lhcms) {
  element("create").onsubmit = (event) => {
    event.preventDefault();
    attempt(lhcms.api.POST("/api/v1/cases", { body: Object.fromEntries(new FormData(event.target)) }));
    event.target.reset();
  };
  let isLoaded = false;
  for await (const event of lhcms.watch({ since: "now" })) {
    // The first event says where the changes begin. What changes while the list is read comes with the next one.
    if (!isLoaded || event.type === "restart") {
      document.querySelectorAll("article").forEach((card) => card.remove());
      for await (const one of lhcms.cases({ status: Object.keys(COLUMNS), limit: 100 })) {
        show(lhcms, one);
      }
      isLoaded = true;
      say("The board follows the lab.");
    }
    for (const { id, case: one } of event.type === "changes" ? event.changes : []) {
      remove(id);
      if (one) {
        show(lhcms, one).className = "new";
      }
      // A comment, and each step of a file, is a change of its case.
      refreshCase(lhcms, id);
    }
  }
}

const remove = (id) => document.querySelector(`article[data-id="${id}"]`)?.remove();

function show(lhcms, one) {
  const card = element("card").content.cloneNode(true).firstElementChild;
  card.dataset.id = one.id;
  card.dataset.version = one.version;
  card.dataset.waiting = one.waiting_for_answer;
  const [number, procedure, patient, move, open] = card.children;
  number.textContent = one.case_number;
  procedure.textContent = one.procedure_type ?? "";
  patient.textContent = one.patient_name ?? "";
  const next = COLUMNS[one.status];
  move.textContent = `→ ${next?.replaceAll("_", " ")}`;
  move.onclick = () =>
    attempt(lhcms.api.PATCH("/api/v1/cases/{id}/status", { params: { path: { id: one.id } }, body: { status: next } }));
  open.onclick = () => openCase(lhcms, one);
  element(one.status)?.append(card);
  return card;
}
