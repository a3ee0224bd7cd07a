// The page: what the user does, and what follows.

import { ask, bodyOf, Refused, useToken } from "./ask.js";
import { curlCommand } from "./curl.js";
import { onFile } from "./files.js";
import { clipOf } from "./frames.js";
import * as models from "./models.js";
import { pictureOf } from "./pictures.js";
import { onMark, rowElement } from "./rows.js";
import { sheetOf } from "./sheet.js";
import { Stage } from "./stage.js";
import { settingsOf, viewOf } from "./views.js";

const element = (id) => document.getElementById(id);
const stage = new Stage(element("stage"));

let list = []; // of models
let model = null; // that is chosen
let file = null; // that was given last
let given = null; // what became of it, as of `pictureOf` and `clipOf`
let view = null; // of its answer
let answered = ""; // how long that took, and what else is to know
let needsToken = false;
let underWay = new AbortController(); // what was asked before is of no interest

// The models

async function start() {
  try {
    list = await models.loadModels(() => busy("No model is loaded yet; looking again…"));
  } catch (error) {
    return fail(error);
  }
  element("model").replaceChildren(...list.map(({ name }) => new Option(name)));
  for (const id of ["model", "choose", "photograph", "copy"]) element(id).disabled = false;
  choose(models.modelInHash(list));
  document.body.classList.remove("starting");
}

function choose(chosen) {
  const hadClips = model && models.takesClips(model);
  model = chosen;
  models.noteInHash(model);
  element("model").value = model.name;
  element("about").textContent = models.aboutModel(model);
  const clips = models.takesClips(model);
  element("file").accept = clips ? "video/*" : "image/*";
  element("kind").textContent = clips ? "video" : "picture";
  element("photograph").textContent = clips ? "Record a video" : "Take a photo";
  element("hint").textContent = `No ${clips ? "video" : "picture"} yet`;
  element("camera").accept = clips ? "video/*" : "image/*";
  const settings = settingsOf(model);
  element("rows").classList.toggle("marks", settings.leastScore); // a row an object
  element("least-setting").hidden = !settings.leastScore;
  element("opacity-setting").hidden = !settings.opacity;
  element("explain-setting").hidden = !models.explains(model);
  if (file && hadClips === clips) take(file);
  else clear();
}

function clear() {
  underWay.abort();
  file = given = null;
  forget();
  stage.show(null);
  showCommand();
  say("Ready.");
}

// A picture or a video

async function take(chosen) {
  file = chosen;
  underWay.abort();
  const { signal } = (underWay = new AbortController());
  busy("Reading the file…");
  try {
    const read = await (models.takesClips(model) ? clipOf : pictureOf)(file, model);
    if (signal.aborted) return;
    given = read;
    await answer(signal);
  } catch (error) {
    if (signal.aborted) return;
    given = null;
    forget();
    stage.show(null);
    showCommand();
    fail(error);
  }
}

async function answer(signal) {
  forget();
  stage.show(given.shown);
  const body = bodyOf(given.instance, signature());
  showCommand(body);
  busy("Asking the model…");
  try {
    const { content, milliseconds } = await ask(models.addressOf(model), body, signal);
    const [found] = content.predictions;
    view = viewOf(model, found);
    if (given.frames) given.shown = sheetOf(given.frames, found.heat_map);
    answered = `. Answered in ${milliseconds.toFixed(0)} ms.${given.note}`;
    show();
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

function signature() {
  return models.explains(model) && element("explain").checked ? "explain" : "serving_default";
}

// The answer

function show({ isQuiet = false, marked } = {}) {
  const [leastScore, opacity] = [element("least").valueAsNumber, element("opacity").valueAsNumber];
  element("least-value").textContent = leastScore.toFixed(2);
  element("opacity-value").textContent = opacity.toFixed(2);
  if (!view) return;
  const { summary, rows, layers } = view({ leastScore, opacity, marked });
  stage.show(given.shown, layers);
  if (marked !== undefined) return; // in rows that stay
  element("rows").replaceChildren(...rows.map(rowElement));
  element("rows").dataset.empty = summary;
  element("stage").setAttribute("aria-label", `${given.file}: ${summary}`);
  if (!isQuiet) say(`${summary}${answered}`);
}

function forget() {
  view = null;
  element("rows").replaceChildren();
  element("rows").dataset.empty = "No answer yet";
  element("hint").hidden = given !== null;
  element("stage").setAttribute("aria-label", given?.file ?? element("hint").textContent);
}

function say(text, isWrong = false) {
  element("said").textContent = text;
  element("said").classList.toggle("wrong", isWrong);
  document.body.classList.remove("busy");
}

function busy(text) {
  say(text);
  document.body.classList.add("busy");
}

function fail(error) {
  if (!(error instanceof Refused)) console.error(error);
  say(error instanceof Refused ? error.message : "Something went wrong on this page.", true);
  if (error.status === 401) {
    needsToken = true;
    element("entry").hidden = false;
    element("token").focus();
  }
}

// The command

function showCommand(body) {
  const save = element("save");
  URL.revokeObjectURL(save.href);
  save.removeAttribute("href");
  const clips = models.takesClips(model);
  const isRequest = given ? !given.isOriginal : clips;
  const name = given?.file ?? (clips ? "clip.mp4" : "picture.jpg");
  save.hidden = !(given && isRequest);
  save.download = `${name}.json`;
  if (!save.hidden) save.href = URL.createObjectURL(new Blob([body]));
  element("command").textContent = curlCommand({
    url: new URL(models.addressOf(model), document.baseURI).href,
    signature: signature(),
    file: isRequest ? save.download : name,
    isRequest,
    needsToken,
  });
  element("copied").textContent = "";
}

async function copy() {
  const text = element("command");
  getSelection().selectAllChildren(text);
  try {
    await navigator.clipboard.writeText(text.textContent);
    element("copied").textContent = "Copied.";
  } catch {
    // Only pages of this machine, or with TLS, may write there.
    element("copied").textContent = "It is selected: copy it with Ctrl+C.";
  }
}

// What the user does

onFile(
  {
    choose: element("choose"),
    file: element("file"),
    photograph: element("photograph"),
    camera: element("camera"),
  },
  (chosen) => model && take(chosen),
);
element("model").addEventListener("change", (event) => choose(list[event.target.selectedIndex]));
addEventListener("hashchange", () => list.length && choose(models.modelInHash(list)));
element("explain").addEventListener("change", () => (file ? take(file) : showCommand()));
onMark(element("rows"), (marked) => show({ isQuiet: true, marked }));
for (const id of ["least", "opacity"]) {
  // Told when the hand rests; drawn at once.
  element(id).addEventListener("input", () => show({ isQuiet: true }));
  element(id).addEventListener("change", () => show());
}
element("copy").addEventListener("click", copy);
element("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(element("token").value.trim());
  element("entry").hidden = true;
  if (!list.length) start();
  else if (file) take(file);
});
show();
start();
