// The ways in which a user gives a file.

/**
 * @param {object} elements
 * @param {HTMLElement} elements.choose button that opens the choice of files
 * @param {HTMLInputElement} elements.file what it opens
 * @param {HTMLElement} elements.photograph button that opens the camera, where there is one
 * @param {HTMLInputElement} elements.camera what it opens
 * @param {(file: File) => void} take
 */
export function onFile({ choose, file, photograph, camera }, take) {
  const takeFirst = (files) => files?.length && take(files[0]);
  for (const [button, input] of [[choose, file], [photograph, camera]]) {
    button.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      takeFirst(input.files);
      input.value = ""; // or the same file could not be chosen again
    });
  }
  // On all of the page: a file dropped beside the button would else replace it.
  const over = (isOver) => (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", isOver);
  };
  document.addEventListener("dragover", over(true));
  document.addEventListener("dragleave", over(false));
  document.addEventListener("drop", over(false));
  document.addEventListener("drop", ({ dataTransfer }) => takeFirst(dataTransfer?.files));
  document.addEventListener("paste", ({ clipboardData }) => takeFirst(clipboardData?.files));
}
