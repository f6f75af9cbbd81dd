// Unpacks what the page carries: its scripts, which it then runs, and its numbers.
const Carried = (() => {
  const bytesOf = (text) => {
    const code = new Uint8Array(128);
    let digits = 0;
    for (let at = 33; at < 127; at++) if (!"\"&'<>\\`~|".includes(String.fromCharCode(at))) code[at] = digits++;
    const words = (text.length - 1) / 5, bytes = new Uint8Array(4 * words), view = new DataView(bytes.buffer);
    for (let word = 0, at = 1; word < words; word++) {
      let number = 0;
      for (const end = at + 5; at < end; at++) number = number * 85 + code[text.charCodeAt(at)];
      view.setUint32(4 * word, number);
    }
    return bytes.subarray(0, bytes.length - code[text.charCodeAt(0)]);
  };
  const element = (name) => document.getElementById(name);
  async function bytes(name) {
    const stream = new Blob([bytesOf(element(name).textContent.trim())]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }
  // Data, and numbers: [anything, Uint8Array].
  async function open(name) {
    const whole = await bytes(name), size = new DataView(whole.buffer).getUint32(0, true);
    return [JSON.parse(new TextDecoder().decode(whole.subarray(4, 4 + size))), whole.slice(4 + size)];
  }
  function trouble(words) {
    element("trouble").textContent = words;
    element("trouble").hidden = false;
  }
  return { bytes, bytesOf, open, trouble };
})();
if (typeof document === "object") {
  Carried.bytes("scripts").then((code) => {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(code);
    document.head.append(script);
  }).catch((error) => Carried.trouble(`This browser cannot unpack the page: ${error.message}. Browsers of 2023 and later can.`));
}
