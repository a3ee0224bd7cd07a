// The command that asks the same.

/**
 * @param {object} asked
 * @param {string} asked.url
 * @param {string} asked.signature
 * @param {string} asked.file name of the image, or of the saved request
 * @param {boolean} asked.isRequest which of the two
 * @param {boolean} asked.needsToken
 */
export function curlCommand({ url, signature, file, isRequest, needsToken }) {
  // By name, as the token is not to be seen, nor to stay in the shell's history.
  const bears = needsToken ? ' -H "Authorization: Bearer $KERAKIT_SERVE_TOKEN"' : "";
  if (isRequest) return `curl ${quoted(url)}${bears} -d ${quoted(`@${file}`)}`;
  const named = signature === "serving_default" ? "" : `"signature_name": "${signature}", `;
  const start = `{${named}"instances": [{"b64": "`;
  return (
    `(printf %s ${quoted(start)}; base64 < ${quoted(file)} | tr -d '\\n'; printf %s '"}]}') |\n` +
    `  curl ${quoted(url)}${bears} -d @-`
  );
}

/** Text as one word of a shell, whatever it holds. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
