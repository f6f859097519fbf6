// The files and the comments of one case.
import { ok } from "lhcms-client";

import { attempt, element, reason, say } from "./page.js";

/** The id of the case that is shown. */
let shown;
/** How often files and comments were read. An older answer must not replace a newer one. */
let reads = 0;
/** An upload that has failed: its case, its file, and the id with which it goes on. */
let failed;

element("close").onclick = () => {
  shown = undefined;
  element("case").hidden = true;
};

/** Shows a case. */
export function openCase(lhcms, one) {
  shown = one.id;
  element("title").textContent = `${one.case_number} ${one.patient_name ?? ""}`;
  element("files").replaceChildren();
  element("comments").replaceChildren();
  element("upload").onsubmit = (event) => send(event, lhcms, one.id);
  element("comment").onsubmit = (event) => comment(event, lhcms, one.id);
  element("case").hidden = false;
  refreshCase(lhcms, one.id);
}

/** Reads files and comments again, if the case is shown. */
export async function refreshCase(lhcms, id) {
  if (id !== shown) {
    return;
  }
  const path = { id };
  const read = (reads += 1);
  try {
    const [{ attachments }, { comments }] = await Promise.all([
      ok(lhcms.api.GET("/api/v1/cases/{id}/attachments", { params: { path } })),
      ok(lhcms.api.GET("/api/v1/cases/{id}/comments", { params: { path, query: { limit: 100 } } })),
    ]);
    if (id === shown && read === reads) {
      element("files").replaceChildren(...attachments.filter((file) => !file.removed).map((file) => line(file.file_name, file.state, file.state)));
      element("comments").replaceChildren(...comments.map((one) => line(one.text ?? "(removed)", one.asks ? "needs an answer" : "")));
    }
  } catch (error) {
    say(reason(error));
  }
}

function line(text, note, state = "") {
  const item = document.createElement("li");
  item.dataset.state = state;
  item.append(text, " ", Object.assign(document.createElement("small"), { textContent: note }));
  return item;
}

/** Sends the chosen file. The same file goes on where its last upload has failed. */
async function send(event, lhcms, id) {
  event.preventDefault();
  const form = event.target;
  const file = element("file").files[0];
  const resume = failed?.id === id && failed.file === file ? failed.attachmentId : undefined;
  const button = form.querySelector("button");
  button.disabled = true;
  element("progress").hidden = false;
  let attachmentId = resume;
  const onProgress = (progress) => {
    attachmentId = progress.attachmentId;
    element("progress").value = progress.done / progress.size;
    say(progress.step === "hash" ? "Reading the file" : `${Math.floor((100 * progress.done) / progress.size)} %`, "upload-state");
  };
  try {
    await lhcms.upload(id, file, { kind: new FormData(form).get("kind"), onProgress, resume });
    failed = undefined;
    form.reset();
    say("The file is sent.", "upload-state");
  } catch (error) {
    failed = attachmentId && { id, file, attachmentId };
    say(`${reason(error)} ${failed ? "Send it again to go on." : ""}`, "upload-state");
  } finally {
    button.disabled = false;
    element("progress").hidden = true;
  }
}

async function comment(event, lhcms, id) {
  event.preventDefault();
  const form = event.target;
  const fields = new FormData(form);
  const body = { text: fields.get("text"), asks: fields.has("asks") };
  if (await attempt(lhcms.api.POST("/api/v1/cases/{id}/comments", { params: { path: { id } }, body }))) {
    form.reset();
  }
}
