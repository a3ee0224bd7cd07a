// A video to the frames that a model of clips takes, cut as the model's card says.

import { b64, Refused } from "./ask.js";
import { canvasWith, jpegOf } from "./pictures.js";
import { sheetOf } from "./sheet.js";

const SHORT_SIDE = 256;
const MEASURED_FRAMES = 12;
const MEASURED_MILLISECONDS = 5000;
const USUAL_RATE = 30; // where a browser cannot time frames

/** A clip as `page.js` takes it, as of `pictureOf`; `shown` is a sheet of the frames. */
export async function clipOf(file, model) {
  const url = URL.createObjectURL(file);
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto" });
  try {
    await loaded(video, url, file.name);
    const rate = model.frame_rate ?? (await measuredRate(video));
    // At the video's own rate the middle of a frame, at another what is shown at the tick; a
    // little later, as files round their times.
    const later = model.frame_rate ? 0.001 : 0.5 / rate;
    const count = Math.max(1, Math.round(video.duration * rate));
    const numbers = middleFrames(model.sampling, count);
    const cut = new Map();
    for (const number of new Set(numbers)) {
      cut.set(number, await frameAt(video, number / rate + later));
    }
    const frames = numbers.map((number) => cut.get(number));
    return {
      instance: frames.map(({ encoded }) => encoded),
      frames: frames.map(({ canvas }) => canvas),
      shown: sheetOf(frames.map(({ canvas }) => canvas)),
      file: file.name,
      isOriginal: false,
      note: noteOf(numbers, count),
    };
  } finally {
    video.removeAttribute("src");
    video.load(); // lets go of the decoder
    URL.revokeObjectURL(url);
  }
}

/** Numbers of the frames of one example, as `kerakit.data.FrameSampling.even` counts them. */
export function middleFrames({ frames, stride, mode }, count) {
  const window = (frames - 1) * stride + 1;
  const start = Math.floor(Math.max(count - window, 0) / 2);
  return Array.from({ length: frames }, (_, i) => {
    const number =
      mode === "dense" ? start + i * stride : Math.floor(((i + 0.5) * count) / frames);
    return Math.min(number, count - 1);
  });
}

/** Which frames the model sees, in words that begin with a space. */
export function noteOf(numbers, count) {
  if (new Set(numbers).size === count) return ` All ${count} frames were sent.`;
  const span = `${numbers[0]} to ${numbers.at(-1)}, counted from 0`;
  return ` Of ${count} frames, ${numbers.length} were sent: ${span}.`;
}

async function loaded(video, url, name) {
  const ready = once(video, "loadeddata", `This browser cannot play ${name} as a video.`);
  video.src = url;
  await ready;
  if (!(video.videoWidth && Number.isFinite(video.duration))) {
    throw new Refused(`${name} has no pictures, or does not say how long it lasts.`);
  }
}

/** Resolves at an event of a video; refuses with a sentence if the video fails. */
function once(video, event, sentence) {
  return new Promise((resolve, reject) => {
    video.addEventListener(event, resolve, { once: true });
    video.addEventListener("error", () => reject(new Refused(sentence)), { once: true });
  });
}

/** Frames a second; browsers do not tell, so that the first ones are played and timed. */
async function measuredRate(video) {
  const times = [];
  const timer = new AbortController();
  await new Promise((resolve) => {
    const note = (_, { mediaTime }) => {
      times.push(mediaTime);
      if (times.length < MEASURED_FRAMES) video.requestVideoFrameCallback(note);
      else resolve();
    };
    video.requestVideoFrameCallback?.(note);
    video.addEventListener("ended", resolve, { once: true, signal: timer.signal });
    setTimeout(resolve, MEASURED_MILLISECONDS);
    video.play().catch(resolve);
  });
  timer.abort();
  video.pause();
  const gaps = times.slice(1).map((time, i) => time - times[i]).filter((gap) => gap > 0);
  if (!gaps.length) return times.length === 1 && video.ended ? 1 / video.duration : USUAL_RATE;
  // The middle one, as a frame or two may have been left out.
  return 1 / gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 2)];
}

async function frameAt(video, seconds) {
  const seeked = once(video, "seeked", "The video is broken.");
  video.currentTime = Math.min(seconds, video.duration);
  await seeked;
  const scale = Math.min(1, SHORT_SIDE / Math.min(video.videoWidth, video.videoHeight));
  const canvas = canvasWith(video, video.videoWidth * scale, video.videoHeight * scale);
  return { canvas, encoded: await b64(await jpegOf(canvas)) };
}
