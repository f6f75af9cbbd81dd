// Runs ONNX graphs with ONNX Runtime Web, as runtime.js runs programs: Runtime.load(program, bytes) -> { run(inputs), ... }.
const Runtime = (() => {
  let library = null, last = Promise.resolve();

  // The library is a module, and its WebAssembly; the page carries both.
  async function begun() {
    const [text, wasm] = [await Carried.bytes("ort"), await Carried.bytes("ort-wasm")];
    const script = Object.assign(document.createElement("script"), { type: "module", textContent: new TextDecoder().decode(text) });
    await new Promise((there, failed) => {
      addEventListener("ort", there, { once: true });
      script.addEventListener("error", () => failed(new Error("ONNX Runtime Web does not begin")));
      document.head.append(script);
    });
    Object.assign(ort.env.wasm, { wasmBinary: wasm.buffer, numThreads: 1 }); // a page from a file may not have threads
    return ort;
  }

  // `program` says where in `bytes` its graph is, and the shapes of its inputs by name.
  async function load({ model: [at, size], inputs, output }, bytes) {
    library ||= begun();
    const { InferenceSession, Tensor } = await library;
    const session = await InferenceSession.create(bytes.slice(at, at + size), { executionProviders: ["wasm"] });
    return {
      simd: true,
      async run(given) {
        const fed = Object.fromEntries(Object.entries(inputs).map(([name, shape]) => [name, new Tensor("float32", given[name], shape)]));
        const answer = last.then(() => session.run(fed)); // one at a time: it has one memory
        last = answer.catch(() => null);
        return (await answer)[output].data;
      },
    };
  }

  return { load };
})();
