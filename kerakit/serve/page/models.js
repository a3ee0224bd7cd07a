// The models that the server has, and the one that is chosen.

import { ask } from "./ask.js";

const TASKS = {
  classification: "The class of a picture",
  multi_label: "The classes of a picture",
  detection: "Boxes around objects",
  instance_segmentation: "Boxes and masks of objects",
  segmentation: "The class of each pixel",
  video: "The class of a clip",
};
const MOST_LETTERS = 120; // of the classes' names
const AGAIN_MILLISECONDS = 2000; // the server looks for models as often

/** The server's models; waits as long as it has none. */
export async function loadModels(onNone) {
  for (;;) {
    const { content } = await ask("v1/models");
    if (content.models.length) return content.models;
    onNone();
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MILLISECONDS));
  }
}

/** What the user should know of a model. */
export function aboutModel({ task, classes, version }) {
  // As many as there is room for, and one at least.
  let count = 1;
  while (count < classes.length && classes.slice(0, count + 1).join(", ").length <= MOST_LETTERS) {
    count += 1;
  }
  const more = classes.length > count ? ` and ${classes.length - count} more` : "";
  // A space that is not broken, so that no number stands by itself.
  return `${TASKS[task] ?? task}: ${classes.slice(0, count).join(", ")}${more}. Version\u00a0${version}.`;
}

export function takesClips(model) {
  return model.task === "video";
}

export function explains(model) {
  return "explain" in model.signatures;
}

export function addressOf(model) {
  return `v1/models/${encodeURIComponent(model.name)}:predict`;
}

/** The model that the page's address names, else the first. */
export function modelInHash(models) {
  return models.find(({ name }) => `#${encodeURIComponent(name)}` === location.hash) ?? models[0];
}

export function noteInHash(model) {
  history.replaceState(null, "", `#${encodeURIComponent(model.name)}`);
}
