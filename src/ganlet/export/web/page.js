// The page: what a visitor does, and what is shown of it.
(async () => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const made = (tag, more = {}, ...inner) => {
    const element = Object.assign(document.createElement(tag), more);
    element.append(...inner);
    return element;
  };

  let points, facts, kernel;
  try {
    let bytes;
    [facts, bytes] = await Carried.open("numbers");
    kernel = one("#kernel") && typeof WebAssembly === "object" ? Carried.bytesOf(one("#kernel").textContent.trim()) : null;
    points = await Points.open(facts, bytes, kernel);
  } catch (error) {
    Carried.trouble(`This browser cannot draw the pictures of this page: ${error.message}. Browsers of 2023 and later can.`);
    return;
  }

  const [height, width] = facts.size, MOST_SEED = Number.MAX_SAFE_INTEGER, NEW_SEEDS = 1_000_000, NUM_MANY = 16, MOST_NETS = 12;
  const begun = () => ({ seed: 0, index: 0, chosen: null, toward: null, share: 0, truncation: 1, strengths: facts.directions.map(() => 0), mix: null });
  let state = begun(), shown = null, playing = null;

  // ---- pictures on canvases

  function paint(canvas, pixels) {
    const { channels } = facts, data = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) data.data[4 * i + c] = pixels[i * channels + (channels === 1 ? 0 : c)];
      data.data[4 * i + 3] = channels === 4 ? pixels[i * channels + 3] : 255;
    }
    canvas.getContext("2d").putImageData(data, 0, 0);
  }

  // Every pixel of the picture as large as every other: a whole number of the screen's.
  function fit() {
    const frame = one(".stage"), ratio = window.devicePixelRatio || 1, narrow = window.innerWidth <= 860;
    const tall = narrow ? Math.max(180, 0.48 * window.innerHeight) : Math.max(260, window.innerHeight - 250);
    const room = Math.min(frame.clientWidth / width, Math.min(tall, 560) / height) * ratio;
    one("#picture").style.width = `${((room >= 1 ? Math.floor(room) : room) * width) / ratio}px`;
  }

  // ---- what is asked for, as a point

  function labelsOf(asked) {
    const labels = points.labelsOf(asked.seed, asked.index, asked.chosen);
    if (!labels || asked.toward === null || !asked.share) return labels;
    return labels.map((x, i) => x + asked.share * ((i === asked.toward ? 1 : 0) - x));
  }

  async function pointOf(asked) {
    let point = await points.enter(points.latentOf(asked.seed, asked.index), labelsOf(asked), asked.truncation);
    if (asked.mix) point = points.mixed(point, await points.sample(asked.mix.seed, 0, { chosen: asked.chosen, truncation: asked.truncation }), facts.parts[asked.mix.part]);
    facts.directions.forEach((_, i) => (point = points.moved(point, points.directions[i], asked.strengths[i])));
    return point;
  }

  const rounded = (number, digits = 3) => Math.round(number * 10 ** digits) / 10 ** digits;

  // How the picture was drawn, for its certificate: plain data that Python writes as JavaScript does.
  function how(asked) {
    const told = { verb: "page", seed: asked.seed, precision: facts.precision };
    if (asked.index) told.picture = asked.index;
    if (facts.labels && asked.chosen) told.label_names = asked.chosen.map((label) => facts.labels.names[label]);
    if (asked.toward !== null && asked.share) Object.assign(told, { toward: facts.labels.names[asked.toward], share: rounded(asked.share) });
    if (asked.truncation !== 1) told.truncation = rounded(asked.truncation);
    if (asked.mix) told.mixed = `${facts.parts[asked.mix.part].name} of seed ${asked.mix.seed}`;
    const along = facts.directions.flatMap(({ name }, i) => (asked.strengths[i] ? [`${name} ${rounded(asked.strengths[i])}`] : []));
    if (along.length) told.along = along;
    return told;
  }

  // ---- words

  const nameOf = ({ seed, index }) => (index ? `${seed}#${index}` : `${seed}`);
  const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;

  function captionOf(asked) {
    const words = [];
    if (facts.labels) {
      const set = points.labelsOf(asked.seed, asked.index, asked.chosen), names = facts.labels.names.filter((_, i) => set[i]);
      words.push(names.join(", ") || "no label");
      if (asked.toward !== null && asked.share) words.push(`${percent(asked.share)} ${facts.labels.names[asked.toward]}`);
    }
    facts.directions.forEach(({ name, low }, i) => {
      const by = asked.strengths[i];
      if (by) words.push(low < 0 ? `${name} ${by > 0 ? "+" : "\u2212"}${Math.abs(rounded(by, 1))}` : `${name} ${percent(by)}`);
    });
    if (asked.mix) words.push(`${facts.parts[asked.mix.part].name} of seed ${asked.mix.seed}`);
    return words.join(" \u00b7 ");
  }

  function tell(words, name) {
    one("#caption").replaceChildren(...(name === undefined ? [] : ["Picture ", made("strong", { textContent: name }), words ? " \u00b7 " : ""]), words);
    one("#picture").setAttribute("aria-label", `Picture ${name ?? ""} ${words}`.trim());
  }

  // ---- drawing, at most once a frame

  const times = [];
  async function draw(point, drawn, maker = facts.maker, of = undefined, more = "") {
    const start = performance.now(), pixels = await points.draw(point, of);
    times.push(performance.now() - start);
    if (times.length > 50) times.shift();
    paint(one("#picture"), pixels);
    shown = { point, pixels, how: drawn, maker, name: `seed-${nameOf(state).replace("#", ".")}${more}` };
  }

  const nextFrame = () => new Promise(requestAnimationFrame);
  let due = null, busy = false;
  async function soon(work) {
    due = work;
    if (busy) return;
    busy = true;
    try {
      while (due) {
        await nextFrame();
        const newest = due;
        due = null;
        await newest();
      }
    } finally {
      busy = false;
    }
  }

  function show(kept = true) {
    stop();
    soon(now);
    try {
      if (kept) history.replaceState(null, "", `#${written()}`);
    } catch {} // browsers refuse what comes too often
  }

  async function now() {
    const asked = { ...state, strengths: [...state.strengths] };
    await draw(await pointOf(asked), how(asked));
    tell(captionOf(asked), nameOf(asked));
    one("#seed").value = nameOf(state);
    all(".seed-now").forEach((place) => (place.textContent = state.seed));
    one("#speed").textContent = `The last one took ${times.at(-1).toFixed(1)} ms${points.simd ? "" : ", in plain JavaScript"}.`;
    reflect();
  }

  function stop() {
    if (playing) {
      playing.end();
      one("#caption").setAttribute("aria-live", "polite");
    }
    playing = null;
  }

  // Calls `at(share)` from 0 to 1 and back, until it is stopped.
  function play(button, seconds, at) {
    if (playing && playing.button === button) return stop();
    stop();
    const start = performance.now();
    const own = { button, end: () => { button.textContent = "Play"; button.setAttribute("aria-pressed", "false"); } };
    playing = own;
    one("#caption").setAttribute("aria-live", "off"); // it changes with each frame
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    async function frame(time) {
      if (playing !== own) return;
      const turn = ((time - start) / 1000 / seconds) % 2;
      await at(turn > 1 ? 2 - turn : Math.max(0, turn));
      requestAnimationFrame(frame);
    }
    requestAnimationFrame(frame);
  }

  // ---- addresses: #seed=3&label=Coat&along=darker:1.5

  function written() {
    const found = new URLSearchParams({ seed: nameOf(state).replace("#", ".") });
    if (state.chosen) state.chosen.forEach((label) => found.append("label", facts.labels.names[label]));
    if (state.toward !== null && state.share) found.set("toward", `${facts.labels.names[state.toward]}:${rounded(state.share)}`);
    if (state.truncation !== 1) found.set("truncation", rounded(state.truncation));
    if (state.mix) found.set("mix", `${facts.parts[state.mix.part].name}:${state.mix.seed}`);
    facts.directions.forEach(({ name }, i) => state.strengths[i] && found.append("along", `${name}:${rounded(state.strengths[i])}`));
    return found.toString().replaceAll("%3A", ":").replaceAll("+", "%20");
  }

  const within = (number, low, high) => Math.min(high, Math.max(low, number));
  function seedOf(text) {
    const found = /^\s*(\d{1,16})(?:[#.](\d{1,4}))?\s*$/.exec(text);
    return found && Number(found[1]) <= MOST_SEED ? { seed: Number(found[1]), index: Number(found[2] || 0) } : null;
  }

  function read(text) {
    const asked = new URLSearchParams(text.replace(/^#/, "")), found = begun();
    const numbered = (name) => {
      const [, words, number] = /^(.*):(-?[\d.]+)$/s.exec(asked.get(name) || "") || [];
      return [words, Number(number)];
    };
    Object.assign(found, seedOf(asked.get("seed") || "") || {});
    if (facts.labels) {
      const chosen = asked.getAll("label").map((name) => facts.labels.names.indexOf(name)).filter((label) => label >= 0);
      if (chosen.length) found.chosen = facts.labels.kind === "classes" ? chosen.slice(0, 1) : chosen;
      const [toward, share] = numbered("toward"), label = facts.labels.names.indexOf(toward);
      if (label >= 0 && share >= 0) Object.assign(found, { toward: label, share: within(share, 0, 1) });
    }
    const truncation = parseFloat(asked.get("truncation"));
    if (facts.mean && truncation >= 0) found.truncation = within(truncation, 0, 1);
    const [part, seed] = numbered("mix"), number = facts.parts.findIndex(({ name }) => name === part);
    if (number >= 0 && Number.isSafeInteger(seed) && seed >= 0) found.mix = { seed, part: number };
    for (const text of asked.getAll("along")) {
      const at = text.lastIndexOf(":"), i = facts.directions.findIndex(({ name }) => name === text.slice(0, at)), by = parseFloat(text.slice(at + 1));
      if (i >= 0 && Number.isFinite(by)) found.strengths[i] = within(by, facts.directions[i].low, facts.directions[i].high);
    }
    return found;
  }

  // ---- saving

  const fileName = (more) => `${facts.title.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+|-+$/g, "") || "picture"}-${more}.png`;

  function download(bytes, name) {
    const url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    const link = made("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  // Cells of pixels on a white sheet, each pixel `box[2]` as large.
  function sheetOf(cells, across, down) {
    const { channels } = facts, pixels = new Uint8Array(across * down * channels).fill(255);
    for (const { pixels: from, box: [top, left, scale] } of cells) {
      for (let y = 0; y < height * scale; y++) {
        for (let x = 0; x < width * scale; x++) {
          const at = ((top + y) * across + left + x) * channels, source = (Math.floor(y / scale) * width + Math.floor(x / scale)) * channels;
          for (let c = 0; c < channels; c++) pixels[at + c] = from[source + c];
        }
      }
    }
    return { pixels, width: across, height: down, channels };
  }

  async function save(cells, drawn, maker, across, down, name) {
    const sheet = sheetOf(cells, across, down);
    const said = await Certificate.text({ ...facts, maker }, drawn, cells.map(({ point, box }) => ({ ...point, box })), sheet);
    download(await Certificate.png(sheet, said), fileName(name));
  }

  one("#save").addEventListener("click", () => {
    const scale = Math.max(1, Math.floor(512 / Math.max(width, height)));
    save([{ ...shown, box: [0, 0, scale] }], shown.how, shown.maker, width * scale, height * scale, shown.name);
  });

  one("#share").addEventListener("click", async (event) => {
    const hash = `#${written()}`, text = location.protocol === "file:" ? hash : location.href.split("#")[0] + hash, button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = text;
    }
    setTimeout(() => (button.textContent = "Copy link"), 1800);
  });

  // ---- the picture and its seed

  const fresh = () => {
    Object.assign(state, { seed: Math.floor(Math.random() * NEW_SEEDS), index: 0 });
    show();
  };
  const beside = (by) => {
    Object.assign(state, { seed: within(state.seed + by, 0, MOST_SEED), index: 0 });
    show();
  };
  one("#new").addEventListener("click", fresh);
  one("#again").addEventListener("click", fresh);
  one("#before").addEventListener("click", () => beside(-1));
  one("#after").addEventListener("click", () => beside(1));
  one("#seed").addEventListener("change", (event) => {
    const found = seedOf(event.target.value);
    if (found) Object.assign(state, found);
    show();
  });
  one("#seed").addEventListener("focus", (event) => event.target.select());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, summary, a, [role=tab]")) return;
    if (event.key === " " && !event.target.closest("button")) fresh();
    else if (event.key === "ArrowLeft") beside(-1);
    else if (event.key === "ArrowRight") beside(1);
    else return;
    event.preventDefault();
  });
  window.addEventListener("hashchange", () => {
    state = read(location.hash);
    show(false);
  });
  window.addEventListener("resize", fit);

  // ---- tabs

  const tabs = all("[role=tab]"), opened = {};
  function open(tab, focus = false) {
    stop();
    for (const other of tabs) {
      other.setAttribute("aria-selected", other === tab);
      other.tabIndex = other === tab ? 0 : -1;
      one(`#${other.getAttribute("aria-controls")}`).hidden = other !== tab;
    }
    if (focus) tab.focus();
    const name = tab.getAttribute("aria-controls");
    if (opened[name]) opened[name]();
  }
  tabs.forEach((tab, number) => {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
      if (by) open(tabs[(number + by + tabs.length) % tabs.length], true);
    });
  });
  const isOpen = (name) => one(`#tab-${name}`)?.getAttribute("aria-selected") === "true";

  // What shows the state is brought up to date.
  const reflections = [];
  const reflect = () => reflections.forEach((work) => work());

  function chip(words, act, pressed) {
    const button = made("button", { type: "button", textContent: words });
    button.addEventListener("click", act);
    reflections.push(() => button.setAttribute("aria-pressed", pressed()));
    return button;
  }

  // ---- bending

  if (facts.directions.length) {
    facts.directions.forEach(({ name, measured, low, high }, i) => {
      const id = `direction-${i}`, output = made("output"), input = made("input", { type: "range", id, min: low, max: high, step: "any", value: 0 });
      input.setAttribute("aria-describedby", `${id}-does`);
      input.addEventListener("input", () => {
        const by = Number(input.value);
        state.strengths[i] = low < 0 && Math.abs(by) < 0.05 * high ? 0 : rounded(by);
        show();
      });
      input.addEventListener("dblclick", () => {
        state.strengths[i] = 0;
        show();
      });
      reflections.push(() => {
        input.value = state.strengths[i];
        output.textContent = low < 0 ? (state.strengths[i] ? rounded(state.strengths[i], 1) : "") : state.strengths[i] ? percent(state.strengths[i]) : "";
      });
      one(".sliders").append(made("div", { className: "slider" },
        made("label", { className: "name", htmlFor: id }, made("span", { textContent: name }), output), input,
        made("p", { className: "does", id: `${id}-does`, textContent: measured })));
    });
    one("#straight").addEventListener("click", () => {
      state.strengths.fill(0);
      show();
    });
  }

  // ---- labels

  if (facts.labels) {
    const { names, kind } = facts.labels, place = one("#label .chips");
    place.append(chip("As it comes", () => { state.chosen = null; show(); }, () => !state.chosen));
    names.forEach((name, label) => place.append(chip(name, () => {
      const chosen = state.chosen || [];
      if (kind === "classes") state.chosen = [label];
      else state.chosen = chosen.includes(label) ? chosen.filter((other) => other !== label) : [...chosen, label];
      if (state.chosen && !state.chosen.length) state.chosen = null;
      show();
    }, () => Boolean(state.chosen && state.chosen.includes(label)))));
    const toward = one("#toward"), share = one("#share-of");
    if (toward) {
      names.forEach((name, label) => toward.append(made("option", { value: label, textContent: name })));
      toward.value = names.length - 1;
      const change = () => {
        Object.assign(state, { toward: Number(toward.value), share: Number(share.value) });
        show();
      };
      toward.addEventListener("change", change);
      share.addEventListener("input", change);
      reflections.push(() => {
        if (state.toward !== null) toward.value = state.toward;
        share.value = state.share;
        one(".towards output").textContent = percent(state.share);
      });
    }
  }

  // ---- mixing

  if (facts.parts.length) {
    let seed = 10;
    const place = one("#mix .chips"), other = async () => {
      paint(one("#other canvas"), await points.draw(await points.sample(seed, 0, { chosen: state.chosen, truncation: state.truncation })));
      one("#other-seed").textContent = seed;
    };
    place.append(chip("nothing", () => { state.mix = null; show(); }, () => !state.mix));
    facts.parts.forEach(({ name }, part) => place.append(chip(name, () => { state.mix = { seed, part }; show(); }, () => state.mix?.part === part)));
    one("#other").addEventListener("click", () => {
      seed = Math.floor(Math.random() * NEW_SEEDS);
      if (state.mix) state.mix = { seed, part: state.mix.part };
      show();
    });
    opened.mix = () => {
      if (state.mix) seed = state.mix.seed;
      return other();
    };
    reflections.push(() => isOpen("mix") && opened.mix());
  }

  // ---- truncation

  if (facts.mean) {
    const input = one("#truncated");
    input.addEventListener("input", () => {
      state.truncation = Number(input.value);
      show();
    });
    reflections.push(() => (input.value = state.truncation));
  }

  // ---- between two

  const pins = [null, null], way = one("#way");
  function pin(number, point, drawn, pixels) {
    pins[number] = { point, how: drawn, pixels };
    paint(one(`[data-pin="${number}"] canvas`), pixels);
  }
  async function go(share) {
    way.value = share;
    const [first, last] = pins;
    await draw(points.between(first.point, last.point, share), { verb: "page", precision: facts.precision, between: [first.how, last.how], position: rounded(share) }, facts.maker, undefined, `-between-${rounded(share)}`);
    tell(`between A and B, ${percent(share)}`);
  }
  opened.between = async () => {
    for (const number of [0, 1]) {
      if (pins[number]) continue;
      const asked = { ...state, ...(number ? { seed: state.seed + 1, index: 0 } : {}) }, drawn = how(asked), point = await pointOf(asked);
      pin(number, point, drawn, await points.draw(point));
    }
  };
  way.addEventListener("input", () => {
    stop();
    soon(() => go(Number(way.value)));
  });
  one("#film").addEventListener("click", (event) => play(event.currentTarget, 3, go));
  all("[data-set]").forEach((button) => button.addEventListener("click", () => pin(Number(button.dataset.set), shown.point, shown.how, shown.pixels)));
  all("[data-pin]").forEach((button) => button.addEventListener("click", () => {
    stop();
    soon(() => go(Number(button.dataset.pin)));
  }));

  // ---- many

  let cells = [], many = "";
  async function drawMany() {
    const asked = { ...state, strengths: [...state.strengths], index: 0 }, name = JSON.stringify(asked);
    all(".many button").forEach((button, index) => button.setAttribute("aria-pressed", index === state.index));
    if (many === name) return;
    many = name;
    const own = (cells = []);
    for (let i = 0; i < NUM_MANY; i++) {
      if (i && i % 4 === 0) await nextFrame(); // a row a frame, so that the page stays awake
      const point = await pointOf({ ...asked, index: i }), pixels = await points.draw(point);
      if (cells !== own) return;
      own[i] = { point, pixels };
      paint(one("canvas", all(".many button")[i]), pixels);
    }
  }
  for (let index = 0; index < NUM_MANY; index++) {
    const button = made("button", { type: "button" }, made("canvas", { width, height }));
    button.setAttribute("aria-label", `Picture ${index} of this seed`);
    button.addEventListener("click", () => {
      state.index = index;
      show();
    });
    one(".many").append(button);
  }
  opened.many = drawMany;
  reflections.push(() => isOpen("many") && drawMany());
  one("#save-many").addEventListener("click", () => {
    const GAP = 2, columns = 4, rows = NUM_MANY / columns, scale = Math.max(1, Math.floor(800 / (Math.max(rows * (height + GAP), columns * (width + GAP)) + GAP)));
    const placed = cells.map((cell, i) => ({ ...cell, box: [scale * (GAP + Math.floor(i / columns) * (height + GAP)), scale * (GAP + (i % columns) * (width + GAP)), scale] }));
    const drawn = { ...how({ ...state, index: 0 }), pictures: cells.length }; // some may not be drawn yet
    save(placed, drawn, facts.maker, scale * (columns * (width + GAP) + GAP), scale * (rows * (height + GAP) + GAP), `seed-${state.seed}-sheet`);
  });

  // ---- learning

  if (one("#moments")) {
    let moments = null;
    const input = one("#moment"), nets = new Map();
    async function at(number) {
      input.value = number;
      const { images_seen, programs, maker } = moments[0][number];
      if (!nets.has(number)) nets.set(number, await Points.loaded(programs, moments[1], kernel));
      if (nets.size > MOST_NETS) nets.delete(nets.keys().next().value); // each has a memory of its own
      const net = nets.get(number), point = await points.enter(points.latentOf(state.seed, state.index), labelsOf(state), 1, net);
      const drawn = how({ ...state, truncation: 1, strengths: [], mix: null });
      await draw(point, { ...drawn, precision: facts.moments_as, images_seen }, maker, net, `-after-${images_seen}`);
      one("#learning output").textContent = `${images_seen.toLocaleString("en")} images`;
      tell(`after ${images_seen.toLocaleString("en")} images`, nameOf(state));
    }
    opened.learning = async () => {
      if (!moments) {
        const [told, bytes] = await Carried.open("moments");
        moments = [told.moments, bytes];
        input.max = told.moments.length - 1;
      }
      await at(moments[0].length - 1);
    };
    input.addEventListener("input", () => {
      stop();
      soon(() => at(Number(input.value)));
    });
    one("#grow").addEventListener("click", (event) => play(event.currentTarget, 4, (share) => at(Math.round(share * (moments[0].length - 1)))));
  }

  // ---- the seal

  async function seal() {
    const { worst, within: near, total } = await points.compared(), share = near / total, place = one("#seal"), num = facts.references.length;
    const same = worst <= 1 || share >= 0.999;
    place.dataset.state = same ? "same" : "apart";
    place.dataset.worst = worst;
    place.dataset.share = share;
    one(".words", place).textContent = worst === 0 ? "The same pictures as at home, in every bit" : worst <= 1 ? "The same pictures as at home, to 1 of 255" : same ? `The same pictures as at home, ${percent(share, 2)} to 1 of 255` : `Differs from home by up to ${worst} of 255`;
    one(".told", place).textContent = `This page has drawn ${num} pictures and compared them with PyTorch's own, which it carries: of ${total.toLocaleString("en")} numbers ${percent(share, share > 0.9999 ? 0 : 2)} are within 1 of 255, and none is further than ${worst}. Weights are kept as ${facts.precision}.`;
  }

  document.addEventListener("pointerdown", (event) => event.target.closest("#seal") || one("#seal").removeAttribute("open"));
  document.addEventListener("keydown", ({ key }) => key === "Escape" && one("#seal").removeAttribute("open"));

  // ---- beginning

  one("main").hidden = false;
  state = read(location.hash);
  open(tabs[0]);
  fit();
  await now();
  document.documentElement.dataset.first = Math.round(performance.now());
  one("link[rel=icon]").href = one("#picture").toDataURL();
  setTimeout(async () => {
    await seal();
    document.documentElement.dataset.ready = "true";
  }, 60);
  window.ganlet = { points, facts, draw: () => points.draw(shown.point) };
})();
