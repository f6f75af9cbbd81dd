"use strict";
(() => {
  document.documentElement.classList.add("alive");
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // What draws a cell of a sprite: painter(image)(canvas, cell).
  function painter(image) {
    const [width, height, columns, inset] = ["width", "height", "columns", "inset"].map((name) => +image.dataset[name]);
    const ready = image.complete && image.naturalWidth ? null : new Promise((done) => image.addEventListener("load", done));
    function paint(canvas, cell) {
      const left = (cell % columns) * width + inset, top = Math.floor(cell / columns) * height + inset;
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, left, top, width - 2 * inset, height - 2 * inset, 0, 0, canvas.width, canvas.height);
    }
    return (canvas, cell) => {
      canvas.wanted = cell;
      if (image.naturalWidth) paint(canvas, cell);
      else if (ready) ready.then(() => canvas.wanted === cell && paint(canvas, cell));
    };
  }

  // A command, which is broken between its words only.
  function write(element, command) {
    const words = command.split(" ").map((word) => {
      const span = document.createElement("span");
      span.textContent = word;
      return [" ", span];
    });
    element.replaceChildren(...words.flat().slice(1));
  }

  // A sheet to move over by pointer, finger or arrow keys: `go(cell)` is told where; `free(cell)` says where one may be.
  function pad(element, begin, go, free = () => true) {
    const image = one(".sheet", element), marker = one(".marker", element);
    const columns = +image.dataset.columns, rows = Math.ceil(+image.dataset.num / columns);
    let column = begin % columns, row = Math.floor(begin / columns);
    const within = (place, most) => Math.min(most - 1, Math.max(0, place));
    function show() {
      marker.style.left = `${(100 * column) / columns}%`;
      marker.style.top = `${(100 * row) / rows}%`;
      marker.style.width = `${100 / columns}%`;
      marker.style.height = `${100 / rows}%`;
      go(row * columns + column, row, column);
    }
    function follow(event) {
      const box = image.getBoundingClientRect();
      const across = within(Math.floor(((event.clientX - box.left) / box.width) * columns), columns);
      const down = within(Math.floor(((event.clientY - box.top) / box.height) * rows), rows);
      if ((across === column && down === row) || !free(down * columns + across)) return;
      [column, row] = [across, down];
      show();
    }
    element.addEventListener("pointermove", follow);
    element.addEventListener("pointerdown", follow);
    element.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      for (let far = 1; far < Math.max(rows, columns); far++) {
        const [down, across] = [row + step[0] * far, column + step[1] * far];
        if (down < 0 || across < 0 || down >= rows || across >= columns) return;
        if (free(down * columns + across)) {
          [column, row] = [across, down];
          return show();
        }
      }
    });
    show();
  }

  function walk(section) {
    const paint = painter(one(".sheet", section)), big = one(".big", section), side = +one(".sheet", section).dataset.columns;
    pad(one(".pad", section), (side * side - 1) / 2, (cell, row, column) => {
      paint(big, cell);
      one(".cell", section).textContent = cell;
      const share = (place) => `${Math.round((100 * place) / (side - 1))}\u00a0%`;
      one(".where", section).textContent = `${share(column)} to the right, ${share(row)} down`;
    });
  }

  function film(section) {
    const paint = painter(one(".sheet", section)), big = one(".big", section), slider = one("input", section);
    const button = one(".play", section), where = one(".where", section), num = +slider.max + 1;
    let timer = null;
    function show(frame) {
      slider.value = frame;
      paint(big, frame);
      where.textContent = `moment ${frame} of ${num}`;
    }
    function play(going) {
      clearInterval(timer);
      timer = going ? setInterval(() => show((+slider.value + 1) % num), 110) : null;
      button.textContent = going ? "Pause" : "Play";
      button.setAttribute("aria-pressed", going);
    }
    button.addEventListener("click", () => play(timer === null));
    slider.addEventListener("input", () => { play(false); show(+slider.value); });
    for (const station of all(".stations button", section)) {
      paint(one("canvas", station), +station.dataset.frame);
      station.addEventListener("click", () => { play(false); show(+station.dataset.frame); });
    }
    show(0);
    play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  }

  function direction(card) {
    const paint = painter(one(".sheet", card)), slider = one("input", card), faces = all(".faces canvas", card);
    const places = JSON.parse(card.dataset.places), commands = JSON.parse(card.dataset.commands), start = +card.dataset.start;
    function show() {
      const place = +slider.value;
      faces.forEach((face, row) => paint(face, row * places.length + place));
      one("output", card).textContent = places[place];
      slider.setAttribute("aria-valuetext", places[place]);
      write(one("pre", card), commands[place]);
      if (one(".column", card)) one(".column", card).textContent = `On screen: column ${place + 1} of ${places.length} of that sheet.`;
    }
    slider.addEventListener("input", show);
    one(".reset", card).addEventListener("click", () => { slider.value = start; show(); });
    slider.value = start; // a reloaded page remembers another one
    show();
  }

  function atlas(section) {
    const stage = one(".atlas", section), big = one(".big", section), where = one(".where", section);
    const pictures = JSON.parse(stage.dataset.pictures), command = JSON.parse(stage.dataset.command);
    const paint = painter(one(".sheet", section)), sheet = one(".nearest", section), near = sheet && painter(sheet);
    pad(one(".pad", section), +stage.dataset.begin, (cell) => {
      const picture = pictures[cell];
      paint(big, cell);
      big.classList.toggle("training", !picture.generated);
      where.replaceChildren(document.createElement("strong"));
      where.firstChild.textContent = picture.generated ? picture.address : "A training picture";
      where.append(picture.generated ? (picture.labels ? ` ${picture.labels}` : " generated") : `, number ${picture.address.split(" ")[1]}`);
      if (picture.generated) write(one("pre", section), command[0] + picture.address + command[1]);
      if (!near) return;
      one(".near", section).style.visibility = picture.generated ? "" : "hidden";
      all(".near figure", section).forEach((figure, place) => {
        if (!picture.generated) return;
        near(one("canvas", figure), picture.nearest[place][0]);
        one("figcaption", figure).textContent = picture.nearest[place][1];
      });
    }, (cell) => cell in pictures);
  }

  async function copy(button) {
    const text = one("pre", button.parentElement);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text); // where a page may not copy, a person can
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1200);
  }

  walk(one("#walk"));
  film(one("#film"));
  all(".card").forEach(direction);
  atlas(one("#map"));
  all(".copy").forEach((button) => button.addEventListener("click", () => copy(button)));
})();
