// What all parts of the page use.
import { LhcmsError, ok } from "lhcms-client";

export const element = (id) => document.getElementById(id);

/** Shows a message, at the top of the page or in another output. */
export const say = (text, output = "state") => (element(output).textContent = text);

/** Makes a change. The page shows it when the feed tells it. Returns whether it was made. */
export async function attempt(call) {
  try {
    await ok(call);
    say("");
    return true;
  } catch (error) {
    say(reason(error));
    return false;
  }
}

/** Why something failed, for a person. */
export function reason(error) {
  return error instanceof LhcmsError ? `${error.message} (${error.code ?? error.status})` : error.message;
}
